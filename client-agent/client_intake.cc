// A client agent's applications on their way to a stream: what their listener makes of them.
#include <algorithm>

#include "client-agent/client_driver.h"
#include "common/tunnel/connection_marks.h"

namespace holdfast {
namespace {

// Sockets that have not told yet whose they are; each holds a descriptor and up to 4 KiB.
constexpr std::size_t kMostReceptions = 512;

}  // namespace

void ClientDriver::accepted(Listener& listener, Descriptor& socket, const SocketAddress& peer) {
  // An older one's end may have come since the poller was asked, and belongs before this one.
  loop_.poller().look_once_more();
  const ClientService& service = services_[listener.tag()];
  Endpoint source = normalized(peer.endpoint());
  if (service.mode != ListenMode::explicit_address) return intercepted(listener, socket, source);
  if (comes_back(service, listener, socket, source)) return;
  if (service.proxy_from) return announced(service, socket, source, peer.is_unix());
  open(service, socket, {peer.is_unix() ? peer.endpoint() : source, {}, 0, peer.is_unix()});
}

void ClientDriver::open(const ClientService& service, Descriptor& socket, const Ends& ends) {
  ClientHandover comer{service.link,     service.name,     std::move(socket), ends.source,
                       ends.destination, ends.read_before, ends.is_unix,      {}};
  place(comer);
  socket = std::move(comer.socket);
}

void ClientDriver::place(ClientHandover& comer) {
  if (make_lane_for(comer)) return;
  ClientWorker* worker = choose_worker(comer.group);
  if (worker != nullptr) return worker->give(std::move(comer));
  // Without a link here the workers are full: it stays where it is until one has room.
  ClientLink* link = links_.choose(comer.group, candidates_at(loop_.now(), comer.until));
  if (link != nullptr) links_.admit(*link, comer);
}

void ClientDriver::refuse(Descriptor& socket, const Refusal& refusal) {
  close_with_reset(socket);
  observer_.application_refused(refusal);
}

// The service is one of a loop. Else the connection is noted, which may be one that the server made
// for a stream of ours.
bool ClientDriver::comes_back(const ClientService& service, Listener& listener, Descriptor& socket,
                              const Endpoint& source) {
  if (loops_ == nullptr || !ip_of(source)) return false;
  Time now = loop_.now();
  if (!loops_->refuses(service.name, now)) {
    Endpoint here = SocketAddress::own_of(socket.get()).endpoint();
    auto found = loops_->accepted(service.name, connection_mark(loops_->key(), source, here), now);
    if (!found) return false;
    observer_.loop_found(*found, LoopWatch::kRefused);
    if (!loops_->refuses(service.name, now)) return false;
  }
  refuse(socket, {listener.name(),
                  source.to_string(),
                  {},
                  Cause::loop,
                  "the target of service " + service.name + " leads back to this agent"});
  return true;
}

// --- Intercepted: the original destination decides --------------------------------------------

void ClientDriver::intercepted(Listener& listener, Descriptor& socket, const Endpoint& source) {
  Refusal refusal{listener.name(), source.to_string(), {}, Cause::not_allowed, {}};
  ListenMode mode = services_[listener.tag()].mode;
  auto destination = original_destination(socket.get(), mode);
  if (!destination) {
    refusal.reason = destination.error().message;
    return refuse(socket, refusal);
  }
  refusal.destination = destination->to_string();
  refusal.reason = loop_at(*destination);
  if (!refusal.reason.empty()) {
    refusal.cause = Cause::loop;
    return refuse(socket, refusal);
  }
  const ClientService* service = service_for(listener, *destination);
  if (service == nullptr) {
    refusal.reason = "no service's match has this destination";
    return refuse(socket, refusal);
  }
  open(*service, socket, {source, *destination, 0});
}

// Among the services that share the listener, the one whose match is the narrowest.
const ClientService* ClientDriver::service_for(const Listener& listener,
                                               const Endpoint& destination) const {
  const ClientService& first = services_[listener.tag()];
  const ClientService* found = nullptr;
  std::uint32_t narrowest = 0;
  for (const ClientService& each : services_) {
    if (each.listen != first.listen || each.mode != first.mode) continue;
    std::uint32_t match = narrowest_match(each.match, destination);
    if (match > narrowest) found = &each;
    narrowest = std::max(narrowest, match);
  }
  return found;
}

// Why a connection to there would come back to us; empty if it would not.
std::string ClientDriver::loop_at(const Endpoint& destination) const {
  std::vector<Endpoint> servers = links_.addresses();
  bool caught = std::find(servers.begin(), servers.end(), destination) != servers.end() ||
                std::any_of(workers_.begin(), workers_.end(),
                            [&](const auto& worker) { return worker->leads_to(destination); });
  if (caught) return "it is the agent's own link that was caught";
  std::vector<SocketAddress> own = listeners_.addresses();
  bool port = std::any_of(own.begin(), own.end(), [&](const SocketAddress& each) {
    return each.endpoint().port == destination.port;
  });
  if (port && is_address_of_this_host(*ip_of(destination))) {
    return "it is a listener of the agent's own";
  }
  return "";
}

// --- Announced by a PROXY header --------------------------------------------------------------

void ClientDriver::announced(const ClientService& service, Descriptor& socket,
                             const Endpoint& source, bool is_unix) {
  if (!is_balancer(*service.proxy_from, source)) {
    return refuse(socket, {to_string(service.listen),
                           source.to_string(),
                           {},
                           Cause::not_allowed,
                           "accept_proxy_from has not this address"});
  }
  if (receptions_.size() >= kMostReceptions) return;  // it waits in its listener
  auto& reception = *receptions_.emplace_back(std::make_unique<Reception>());
  reception.service = service.name;
  reception.source = source;
  reception.is_unix = is_unix;
  reception.header =
      std::make_unique<ProxyReception>(loop_, std::move(socket), kProxyHeaderPatience,
                                       [this, &reception](ProxyReception::Outcome outcome) {
                                         reception.outcome = std::move(outcome);
                                         loop_.poller().look_once_more();
                                         wake_ = true;
                                       });
}

// Those that have told whose they are become streams, once there is room for them.
void ClientDriver::settle_receptions() {
  std::size_t before = receptions_.size();
  std::erase_if(receptions_, [this](const auto& each) { return settle(*each); });
  if (receptions_.size() != before) room_ = true;
}

bool ClientDriver::settle(Reception& reception) {
  if (!reception.outcome) return false;
  ProxyReception::Outcome& outcome = *reception.outcome;
  auto service = std::find_if(services_.begin(), services_.end(), [&](const ClientService& each) {
    return each.name == reception.service;
  });
  if (!outcome.socket.valid()) {
    std::string where = service == services_.end() ? "" : to_string(service->listen);
    observer_.application_refused(
        {where, reception.source.to_string(), {}, Cause::protocol, outcome.reason});
    return true;
  }
  if (service == services_.end()) return true;  // a reload took it away meanwhile: a reset
  open(*service, outcome.socket,
       {normalized(outcome.source), normalized(outcome.destination), outcome.header_size,
        reception.is_unix});
  return !outcome.socket.valid();
}

}  // namespace holdfast
