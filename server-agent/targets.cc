#include "server-agent/targets.h"

#include <algorithm>
#include <utility>

namespace holdfast {
namespace {

Approach approach_of(const LinkDriver& driver, StreamHandle stream, const StreamSummary& summary,
                     std::optional<ProxyVersion> send_proxy, bool from_source) {
  Approach approach;
  approach.send_proxy = send_proxy;
  approach.from_source = from_source;
  approach.source = normalized(summary.source);
  approach.destination = normalized(summary.destination);
  if (send_proxy) approach.connection = connection_name(driver.link().id(), stream.id);
  return approach;
}

SourceUse source_use(const Approach& approach) {
  if (approach.from_source) return SourceUse::bound;
  return approach.send_proxy ? SourceUse::told : SourceUse::none;
}

}  // namespace

Targets::Targets(Loop& loop, const ServerOptions& options, Placement& placement, Observer& observer,
                 std::function<void()> changed)
    : loop_(loop),
      options_(options),
      placement_(placement),
      observer_(observer),
      changed_(std::move(changed)),
      budget_(options.descriptors, &placement.awaited()),
      resolver_(loop) {
  watch();
}

TargetStart Targets::start(LinkDriver& driver, StreamHandle stream) {
  auto summary = driver.link().find_stream(loop_.now(), stream.id, nullptr);
  auto client = options_.clients.find(std::string(driver.peer()));
  // A reload took the client away while this one waited.
  if (!summary || client == options_.clients.end()) return {};
  const std::string& name = driver.link().options().services[summary->service].name;
  if (name == kByDestination) return start_by_destination(driver, stream, *summary, client->second);
  auto service = options_.services.find(name);
  if (service == options_.services.end()) return {};
  const ServerTarget& target = service->second;
  Approach approach = approach_of(driver, stream, *summary, target.send_proxy, target.from_source);
  TargetStart start;
  start.refusal = check_source(client->second.grants, approach.source, source_use(approach));
  if (start.refusal == Cause::none && is_own_listener(target.target)) start.refusal = Cause::loop;
  if (start.refusal != Cause::none) return start;
  start.connect = connect(driver, stream, target.target, std::move(approach), name);
  // A reload may change the service's target: what is connected keeps the name of its own.
  start.name = &*names_.insert(target.name).first;
  return start;
}

TargetStart Targets::start_by_destination(LinkDriver& driver, StreamHandle stream,
                                          const StreamSummary& summary,
                                          const ServerClient& client) {
  Approach approach = approach_of(driver, stream, summary, std::nullopt, client.from_source);
  TargetStart start;
  start.refusal = check_destination(client.grants, approach.destination);
  if (start.refusal == Cause::none && is_own_listener(approach.destination)) {
    start.refusal = Cause::loop;
  }
  if (start.refusal == Cause::none) {
    start.refusal = check_source(client.grants, approach.source, source_use(approach));
  }
  if (start.refusal != Cause::none) return start;
  auto address = ip_of(approach.destination);
  Target target;
  target.address = HostPort{address->to_string(), approach.destination.port};
  start.connect = connect(driver, stream, target, std::move(approach), "");
  return start;
}

std::unique_ptr<TargetConnect> Targets::connect(LinkDriver& driver, StreamHandle stream,
                                                const Target& target, Approach approach,
                                                const std::string& service) {
  bool as_checks_do = !approach.from_source;
  return std::make_unique<TargetConnect>(
      loop_, resolver_, budget_, target, std::move(approach),
      [this, &driver, stream, service, target, as_checks_do](TargetConnect::Outcome outcome) {
        Cause result = outcome.socket.valid() ? Cause::none : outcome.cause;
        if (as_checks_do || result == Cause::none) note_result(service, target, result);
        driver.connected(stream, std::move(outcome));  // destroys this callback
      });
}

std::string Targets::why_unknown(std::string_view service) const {
  if (service.empty()) return "no destination is granted to this client: see [clients.NAME] allow";
  bool known = options_.services.find(std::string(service)) != options_.services.end();
  return known ? "not granted to this client: see [clients.NAME] services"
               : "there is no [services.NAME] of this name here";
}

Patience Targets::patience(std::string_view service) const {
  auto known = options_.services.find(std::string(service));
  return known == options_.services.end() ? Patience{} : known->second.patience;
}

const std::string* Targets::name_of(std::string_view service) {
  auto known = options_.services.find(std::string(service));
  if (known == options_.services.end()) return nullptr;
  return &*names_.insert(known->second.name).first;
}

// --- Watched targets --------------------------------------------------------------------------

// A failure from an application's own address may be that address's own, and says nothing of
// others; a connect that a reload overtook says nothing of the new target.
void Targets::note_result(const std::string& service, const Target& target, Cause result) {
  auto watch = watches_.find(service);
  if (watch == watches_.end() || !(watch->second->options().target == target)) return;
  watch->second->note(result);
}

// A watch whose target is what it was goes on, and knows what it knew.
void Targets::watch() {
  auto before = std::exchange(watches_, {});
  for (const auto& [name, service] : options_.services) {
    if (!service.check_interval) continue;
    TargetWatch::Options wanted{service.target, *service.check_interval};
    auto known = before.find(name);
    if (known != before.end() && known->second->options() == wanted) {
      watches_[name] = std::move(known->second);
      continue;
    }
    auto checked = [this, service_name = name](Cause result) {
      observer_.target_checked(service_name, result);
    };
    watches_[name] = std::make_unique<TargetWatch>(loop_, resolver_, budget_, wanted, changed_,
                                                   std::move(checked));
  }
}

// With nothing watched, a link that was told before is told that nothing is down.
void Targets::tell_down(Link& link) const {
  bool any = !watches_.empty();
  std::vector<std::string> down;
  for (const auto& [name, watch] : watches_) {
    if (watch->down() && link.find_service(name)) down.push_back(name);
  }
  if (any || link.tells_down()) link.tell_down(std::move(down));
}

// A service whose target is the link's own port: a stranger to itself, once for each connection.
bool Targets::is_own_listener(const Target& target) const {
  const auto* tcp = std::get_if<HostPort>(&target.address);
  auto literal = tcp != nullptr ? SocketAddress::literal(*tcp) : std::nullopt;
  return literal && is_own_listener(normalized(literal->endpoint()));
}

// The port decides first: asking the host for its addresses costs some system calls.
bool Targets::is_own_listener(const Endpoint& destination) const {
  std::vector<SocketAddress> own = placement_.listening();
  bool port = std::any_of(own.begin(), own.end(), [&](const SocketAddress& each) {
    return each.endpoint().port == destination.port;
  });
  return port && is_address_of_this_host(*ip_of(destination));
}

}  // namespace holdfast
