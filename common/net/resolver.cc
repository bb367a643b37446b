#include "common/net/resolver.h"

#include <netdb.h>

#include <algorithm>
#include <cstring>

namespace holdfast {
namespace {

SocketAddress with_port(const addrinfo& info, std::uint16_t port) {
  sockaddr_storage storage{};
  std::memcpy(&storage, info.ai_addr, info.ai_addrlen);
  if (info.ai_family == AF_INET) {
    reinterpret_cast<sockaddr_in*>(&storage)->sin_port = htons(port);
  } else {
    reinterpret_cast<sockaddr_in6*>(&storage)->sin6_port = htons(port);
  }
  return SocketAddress(reinterpret_cast<const sockaddr*>(&storage), info.ai_addrlen);
}

addrinfo hints() {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  return hints;
}

}  // namespace

std::vector<SocketAddress> interleave(const addrinfo* found, std::uint16_t port) {
  std::vector<SocketAddress> first;
  std::vector<SocketAddress> second;
  int first_family = 0;
  for (const addrinfo* info = found; info != nullptr; info = info->ai_next) {
    if (info->ai_family != AF_INET && info->ai_family != AF_INET6) continue;
    if (first_family == 0) first_family = info->ai_family;
    auto& list = info->ai_family == first_family ? first : second;
    SocketAddress address = with_port(*info, port);
    if (std::find(list.begin(), list.end(), address) == list.end()) list.push_back(address);
  }
  std::vector<SocketAddress> result;
  for (std::size_t i = 0; i < std::max(first.size(), second.size()); ++i) {
    if (i < first.size()) result.push_back(first[i]);
    if (i < second.size()) result.push_back(second[i]);
  }
  return result;
}

Resolver::Answer resolve_now(const HostPort& address) {
  addrinfo wanted = hints();
  addrinfo* found = nullptr;
  int status = getaddrinfo(address.host.c_str(), nullptr, &wanted, &found);
  if (status != 0) return Error{address.host + ": " + gai_strerror(status)};
  std::vector<SocketAddress> addresses = interleave(found, address.port);
  freeaddrinfo(found);
  if (addresses.empty()) return Error{address.host + ": no address"};
  return addresses;
}

Resolver::Question::Question(Resolver& resolver, HostPort address,
                             std::function<void(const Answer&)> callback)
    : resolver_(resolver), address_(std::move(address)), callback_(std::move(callback)) {
  resolver_.ask(*this);
}

Resolver::Question::~Question() {
  resolver_.forget(*this);
}

Resolver::~Resolver() {
  for (auto& [host, lookup] : lookups_) {
    lookup->resolver = nullptr;
    uv_cancel(reinterpret_cast<uv_req_t*>(&lookup->request));
  }
}

void Resolver::ask(Question& question) {
  Lookup*& lookup = lookups_[question.address_.host];
  if (lookup == nullptr) {
    lookup = new Lookup;
    lookup->resolver = this;
    lookup->host = question.address_.host;
    addrinfo wanted = hints();
    HOLDFAST_CHECK(uv_getaddrinfo(loop_.uv(), &lookup->request, &Resolver::done,
                                  lookup->host.c_str(), nullptr, &wanted) == 0);
    lookup->request.data = lookup;
  }
  lookup->questions.push_back(&question);
}

void Resolver::forget(Question& question) {
  auto found = lookups_.find(question.address_.host);
  if (found != lookups_.end()) std::erase(found->second->questions, &question);
}

void Resolver::done(uv_getaddrinfo_t* request, int status, addrinfo* found) {
  std::unique_ptr<Lookup> lookup(static_cast<Lookup*>(request->data));
  if (lookup->resolver != nullptr) {
    // Kept in the table meanwhile, so that a callback can destroy other questions.
    while (!lookup->questions.empty()) {
      Question& question = *lookup->questions.back();
      lookup->questions.pop_back();
      std::vector<SocketAddress> addresses = interleave(found, question.address_.port);
      Answer answer =
          Error{lookup->host + ": " + (status != 0 ? uv_strerror(status) : "no address")};
      if (!addresses.empty()) answer = std::move(addresses);
      std::function<void(const Answer&)> callback = question.callback_;
      callback(answer);
    }
    if (lookup->resolver != nullptr) lookup->resolver->lookups_.erase(lookup->host);
  }
  uv_freeaddrinfo(found);
}

}  // namespace holdfast
