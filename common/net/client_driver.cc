#include "common/net/client_driver.h"

#include <algorithm>
#include <tuple>

namespace holdfast {
namespace {

// SIGTERM promises an end within 2 s; the rest is for closing.
constexpr Duration kLeavePatience = milliseconds(1800);
// Somebody else has taken the port of a service that was down.
constexpr Duration kListenRetry = seconds(1);

}  // namespace

ClientDriver::ClientDriver(Loop& loop, ClientOptions options, Observer& observer)
    : loop_(loop),
      observer_(observer),
      shutdown_timeout_(options.shutdown_timeout),
      budget_(options.descriptors),
      pool_(options.memory, options.connections),
      trimmer_(loop, pool_),
      resolver_(loop),
      closing_([this] { wake_ = true; }),
      services_(std::move(options.services)),
      listeners_(loop, budget_, *this, observer, tune_application_socket),
      network_(loop,
               [this] {
                 for (auto& link : links_) link->network_changed();
               }),
      deadline_(loop.timers(), [this] { wake_ = true; }),
      mirror_retry_(loop.timers(), [this] { services_changed(); }) {
  for (ClientLinkOptions& link : options.links) add_link(std::move(link));
  if (!network_.active()) observer.warning("changes of the host's network cannot be watched");
}

ClientDriver::~ClientDriver() = default;

void ClientDriver::add_link(ClientLinkOptions options) {
  // Above every link's that this process ever had in the slot: those count up one by one.
  options.link.first_ordinal = static_cast<std::uint64_t>(loop_.now().time_since_epoch().count());
  links_.push_back(std::make_unique<ClientLink>(
      ClientSurroundings{loop_, pool_, resolver_, observer_, closing_, next_carrier_},
      std::move(options), *this));
}

ClientLink* ClientDriver::find_link(std::string_view name) {
  for (auto& link : links_) {
    if (link->name() == name && !link->leaving()) return link.get();
  }
  return nullptr;
}

ClientLink* ClientDriver::choose_link(std::string_view group) {
  auto load = [](const ClientLink& link) {
    bool later = link.retiring() || link.link().draining();
    return std::tuple(later, !link.link().live(), link.link().stream_count());
  };
  ClientLink* best = nullptr;
  for (auto& link : links_) {
    if (link->group() != group || link->leaving()) continue;
    if (best == nullptr || load(*link) < load(*best)) best = link.get();
  }
  return best;
}

std::size_t ClientDriver::stream_count() const {
  std::size_t count = 0;
  for (const auto& link : links_) count += link->link().stream_count();
  return count;
}

// --- Listening ------------------------------------------------------------------------------

Status ClientDriver::listen() {
  return listen_on(services_);
}

Status ClientDriver::listen_on(const std::vector<ClientService>& services) {
  std::vector<ListenerSet::Wanted> wanted;
  for (std::size_t tag = 0; tag < services.size(); ++tag) {
    const ClientService& service = services[tag];
    bool shared = std::any_of(wanted.begin(), wanted.end(), [&](const ListenerSet::Wanted& each) {
      return each.address == service.listen;
    });
    if (shared || is_down(service)) continue;
    wanted.push_back({service.listen, tag, service.mode == ListenMode::tproxy});
  }
  return listeners_.set(wanted);
}

bool ClientDriver::is_down(const ClientService& service) {
  ClientLink* link = service.mirror ? choose_link(service.link) : nullptr;
  return link != nullptr && link->is_down(service.name);
}

// A service whose target is down looks it: its listener is closed, so that the kernel refuses.
void ClientDriver::follow_targets() {
  Status bound = listen_on(services_);
  if (bound) return;
  observer_.warning("a service is back: " + bound.error().message + "; trying again");
  mirror_retry_.arm(loop_.now() + kListenRetry);
}

// --- Reload ---------------------------------------------------------------------------------

Status ClientDriver::reconfigure(ClientOptions options, bool revoke) {
  // Listeners first: they are what may fail. Whom a leaving one still hands over goes where its
  // service led before.
  if (state_ == State::running) {
    if (Status bound = listen_on(options.services); !bound) return bound;
  }
  shutdown_timeout_ = options.shutdown_timeout;
  for (auto& link : links_) {
    bool stays = std::any_of(options.links.begin(), options.links.end(),
                             [&](const auto& wanted) { return wanted.name == link->name(); });
    if (!stays) link->retire(revoke);
  }
  for (ClientLinkOptions& wanted : options.links) {
    ClientLink* link = find_link(wanted.name);
    if (link != nullptr) {
      link->reconfigure(std::move(wanted), revoke);
    } else {
      add_link(std::move(wanted));
    }
  }
  services_ = std::move(options.services);
  mirror_ = true;
  wake_ = true;
  room_ = true;
  return Ok{};
}

// --- A turn's end ---------------------------------------------------------------------------

bool ClientDriver::end_of_turn() {
  if (!wake_) return false;
  wake_ = false;
  bool more = false;
  settle_receptions();
  if (std::exchange(mirror_, false) && state_ == State::running) follow_targets();
  for (auto& link : links_) more = link->pump() || more;
  if (state_ != State::leaving) {
    std::erase_if(links_, [](const auto& link) { return link->over(); });
  }
  if (std::exchange(room_, false)) listeners_.resume();
  if (state_ != State::running) advance_shutdown();
  closing_.sweep();
  wake_ = wake_ || more;
  return wake_;
}

void ClientDriver::shut_down() {
  if (state_ == State::leaving || state_ == State::stopped) return;
  state_ = State::leaving;
  listeners_.clear();
  receptions_.clear();
  deadline_.arm(loop_.now() + kLeavePatience);
  for (auto& link : links_) link->leave(Cause::goodbye);
  wake_ = true;
}

void ClientDriver::drain() {
  if (state_ != State::running) return;
  state_ = State::draining;
  listeners_.clear();
  receptions_.clear();
  deadline_.arm(loop_.now() + shutdown_timeout_);
  wake_ = true;
}

void ClientDriver::advance_shutdown() {
  if (state_ == State::draining && (stream_count() == 0 || !deadline_.armed())) shut_down();
  if (state_ != State::leaving) return;
  closing_.sweep();
  bool over = closing_.empty() && std::all_of(links_.begin(), links_.end(),
                                              [](const auto& link) { return link->over(); });
  if (!over && deadline_.armed()) return;
  state_ = State::stopped;
  loop_.stop();
}

bool ClientDriver::kill(std::string_view connection) {
  auto id = parse_connection(connection);
  return id &&
         std::any_of(links_.begin(), links_.end(), [&](auto& link) { return link->kill(*id); });
}

}  // namespace holdfast
