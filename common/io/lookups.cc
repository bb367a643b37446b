#include "common/io/lookups.h"

#include <netdb.h>
#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>

namespace holdfast {
namespace {

// Look-ups need little, and modules of nsswitch.conf some more.
constexpr std::size_t kStackBytes = 512 * 1024;

std::atomic<int> threads{0};

FoundAddresses look_up(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  int status = getaddrinfo(host.c_str(), nullptr, &hints, &found);
  if (status == EAI_SYSTEM) return Error{host + ": " + error_text(errno)};
  if (status != 0) return Error{host + ": " + gai_strerror(status)};
  std::vector<SocketAddress> addresses = interleave(found, 0);
  freeaddrinfo(found);
  if (addresses.empty()) return Error{host + ": no address"};
  return addresses;
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
    SocketAddress address = SocketAddress(info->ai_addr, info->ai_addrlen).with_port(port);
    if (std::find(list.begin(), list.end(), address) == list.end()) list.push_back(address);
  }
  std::vector<SocketAddress> result;
  for (std::size_t i = 0; i < std::max(first.size(), second.size()); ++i) {
    if (i < first.size()) result.push_back(first[i]);
    if (i < second.size()) result.push_back(second[i]);
  }
  return result;
}

// Belongs to its thread once nobody waits for it, else to who started it; `mutex` decides.
struct ThreadLookups::Running {
  std::uint64_t number = 0;
  std::string host;
  std::mutex mutex;
  ThreadLookups* starter = nullptr;  // null: gone
};

bool ThreadLookups::any_running() {
  return threads > 0;
}

ThreadLookups::ThreadLookups(Loop& loop, Told told)
    : told_(std::move(told)), mailbox_(loop, [this](Arrived came) { arrived(std::move(came)); }) {}

ThreadLookups::~ThreadLookups() {
  for (auto& [number, running] : running_) {
    std::unique_lock lock(running->mutex);
    bool over =
        running->starter == nullptr;  // it is in the mailbox, and its thread is done with it
    running->starter = nullptr;
    lock.unlock();
    if (over) delete running;
  }
}

void ThreadLookups::start(std::uint64_t number, const std::string& host) {
  auto* running = new Running;
  running->number = number;
  running->host = host;
  running->starter = this;
  running_.emplace(number, running);
  threads += 1;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, kStackBytes);
  // Signals are for the first loop's thread.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread{};
  int error = pthread_create(&thread, &attributes, &ThreadLookups::run, running);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  if (error == 0) return;
  threads -= 1;
  running->starter = nullptr;
  mailbox_.put({number, Error{host + ": no thread to look it up: " + error_text(error)}});
}

void* ThreadLookups::run(void* argument) {
  auto* running = static_cast<Running*>(argument);
  FoundAddresses found = look_up(running->host);
  std::unique_lock lock(running->mutex);
  bool heard = running->starter != nullptr;
  if (heard) {
    running->starter->mailbox_.put({running->number, std::move(found)});
    running->starter = nullptr;
  }
  lock.unlock();
  if (!heard) delete running;
  threads -= 1;
  return nullptr;
}

void ThreadLookups::arrived(Arrived came) {
  auto found = running_.find(came.number);
  HOLDFAST_CHECK(found != running_.end());
  // Its thread may still hold the lock for a moment.
  { std::lock_guard lock(found->second->mutex); }
  delete found->second;
  running_.erase(found);
  told_(came.number, std::move(came.found));
}

}  // namespace holdfast
