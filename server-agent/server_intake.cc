// A server agent's carriers on their way to a link: what its listener makes of them, and whose they
// are.
#include <algorithm>
#include <ctime>

#include "common/io/health_check.h"
#include "server-agent/server_driver.h"

namespace holdfast {
namespace {

// Sockets whose balancer has not told yet whose they are; each holds a descriptor and up to 4 KiB.
constexpr std::size_t kMostReceptions = 512;

}  // namespace

void ServerDriver::accepted(Listener&, Descriptor& socket, const SocketAddress& peer) {
  if (options_.proxy_from) return announced(socket, peer);
  admit(std::move(socket), std::nullopt);
}

void ServerDriver::admit(Descriptor socket, const std::optional<Through>& through) {
  next_carrier_ += 1;
  observer_.carrier_accepted();
  // The config's check has tried it; a carrier without it is better than none.
  if (!options_.congestion_control.empty()) {
    set_congestion_control(socket.get(), options_.congestion_control);
  }
  bool scarce = links_.targets().budget().scarce(socket.get());
  newcomers_.add(CarrierId{next_carrier_}, std::move(socket), transport_, scarce, through);
  wake_ = true;
}

// --- Through a balancer -----------------------------------------------------------------------

void ServerDriver::announced(Descriptor& socket, const SocketAddress& peer) {
  if (!is_balancer(*options_.proxy_from, normalized(peer.endpoint()))) {
    close_with_reset(socket);
    return observer_.carrier_rejected(peer.to_string(), Cause::not_allowed,
                                      "accept_proxy_from has not this address");
  }
  if (receptions_.size() >= kMostReceptions) return;  // it waits in its listener
  Reception& reception = *receptions_.emplace_back(std::make_unique<Reception>());
  reception.balancer = peer;
  reception.header =
      std::make_unique<ProxyReception>(loop_, std::move(socket), kProxyHeaderPatience,
                                       [this, &reception](ProxyReception::Outcome outcome) {
                                         reception.outcome = std::move(outcome);
                                         wake_ = true;
                                       });
}

void ServerDriver::settle_receptions() {
  if (receptions_.empty()) return;
  std::size_t before = receptions_.size();
  std::erase_if(receptions_, [this](const auto& each) { return settle(*each); });
  if (receptions_.size() != before) room_ = true;
}

bool ServerDriver::settle(Reception& reception) {
  if (!reception.outcome) return false;
  ProxyReception::Outcome& outcome = *reception.outcome;
  std::string balancer = reception.balancer.to_string();
  if (!outcome.socket.valid()) {
    bool check = is_check_without_header(outcome.seen);
    if (check) observer_.carrier_checked(balancer, outcome.reason);
    if (!check) observer_.carrier_rejected(balancer, Cause::protocol, outcome.reason);
    return true;
  }
  auto client = SocketAddress::from(normalized(outcome.source));
  Through through{reception.balancer, client.value_or(reception.balancer), !outcome.on_behalf};
  admit(std::move(outcome.socket), through);
  return true;
}

// --- Greeted ----------------------------------------------------------------------------------

void ServerDriver::hello(const Carrier& carrier, HelloRequest request) {
  wake_ = true;
  std::optional<std::string> identity = carrier.identity();
  if (options_.tls == nullptr) identity = request.hello.name;
  if (!identity) return refuse(carrier.id(), carrier.transport_error());
  std::string reason = objection(*identity, request);
  if (!reason.empty()) return refuse(carrier.id(), reason);
  Placement::Claim claim = placement_.claim(*identity, request.hello.slot);
  std::size_t loop = claim.loop();
  std::unique_ptr<Carrier> taken = newcomers_.take(carrier.id());
  HOLDFAST_CHECK(taken != nullptr);
  GreetedCarrier greeted{taken->unbind(), std::move(request), *identity, std::move(claim)};
  closing_.adopt(std::move(taken));
  if (loop == 0) {
    links_.take(std::move(greeted));
  } else {
    workers_[loop - 1]->give(std::move(greeted));
  }
}

std::string ServerDriver::objection(const std::string& client, const HelloRequest& request) const {
  auto known = options_.clients.find(client);
  if (known == options_.clients.end()) return "unknown client " + client;
  if (known->second.expires_s && std::time(nullptr) >= *known->second.expires_s) {
    return "the access of " + client + " has ended (expires)";
  }
  if (request.hello.name != client) return client + " says that it is " + request.hello.name;
  return "";
}

void ServerDriver::refuse(CarrierId carrier, const std::string& reason) {
  newcomers_.refuse(carrier, Cause::auth, reason, links_.answer_to_stranger());
}

bool ServerDriver::link_known_at(std::string_view source) const {
  return placement_.known_at(source);
}

}  // namespace holdfast
