#include <algorithm>

#include "common/base/overloaded.h"
#include "tests/sim/hosts.h"
#include "tests/sim/world.h"

namespace holdfast::sim {
namespace {

constexpr int kMaxSpins = 1000;

}  // namespace

ServerHost::~ServerHost() {
  for (auto& [id, driver] : drivers_) driver->abandon();
}

bool ServerHost::stalled() const {
  return world_.now() < stalled_until_;
}

ClientPolicy ServerHost::policy(std::uint32_t client) const {
  ClientPolicy policy;
  policy.name = world_.client_name(client);
  policy.services = world_.services();
  policy.max_streams = world_.options().max_streams;
  return policy;
}

void ServerHost::start() {
  const Options& options = world_.options();
  pool_ = std::make_unique<MemoryPool>(options.memory, options.max_streams);
  RegistryOptions registry;
  registry.server_name = "home";
  registry.link.role = LinkOptions::Role::server;
  registry.link.heartbeat = options.heartbeat;
  registry.link.dead_after = options.dead_after;
  registry.link.handshake_timeout = options.handshake_timeout;
  registry.link.grace = options.grace;
  registry.link.open_timeout = options.open_timeout;
  registry.link.max_window = options.max_window;
  registry.link.max_streams = options.max_streams;
  registry.link.trace = options.trace;
  registry_ = std::make_unique<LinkRegistry>(registry, *pool_, world_.random().next());
  draining_ = false;
  stalled_until_ = {};
}

void ServerHost::kill() {
  if (!running()) return;
  for (auto& [id, driver] : drivers_) {
    world_.count(driver->link().counters(), 1);
    driver->write_trace();
    driver->abandon();
  }
  drivers_.clear();
  registry_.reset();
  require(pool_->arena.in_use() == 0, "a server that died still holds blocks");
  pool_.reset();
  greetings_.clear();
  links_.clear();
  armed_ = kNever;
  world_.close_all(0, 1);
}

void ServerHost::goodbye() {
  if (!running()) return;
  std::vector<LinkDriver*> drivers;
  registry_->for_each(
      [&](Link& link, const std::string&) { link.goodbye(world_.now(), Cause::shutdown); });
  turn();
}

void ServerHost::drain() {
  if (!running()) return;
  draining_ = true;
  registry_->drain(world_.now());
  turn();
}

void ServerHost::on_carrier(CarrierId id) {
  if (!running()) return;
  Carrier* carrier = world_.carrier(id);
  if (carrier == nullptr || !carrier->server_open) return;
  if (world_.finishing(*carrier, 1)) return world_.finish_more(*carrier, 1);
  if (auto owner = links_.find(id); owner != links_.end()) {
    auto driver = drivers_.find(owner->second);
    if (driver == drivers_.end()) return;
    driver->second->read_carrier(*carrier);
    // What the link has given up is closed by then or was dropped without a word.
    return turn();
  }
  auto [greeting, fresh] = greetings_.try_emplace(id, world_.options().max_streams);
  if (fresh) greeting->second.deadline = world_.now() + world_.options().handshake_timeout;
  greet(*carrier, greeting->second);
  turn();
}

void ServerHost::greet(Carrier& carrier, Greeting& greeting) {
  CarrierId id = carrier.id;
  if (!greeting.answer.empty()) return answer(id);
  Handshake handshake = world_.shake_hands(carrier, 1);
  if (handshake == Handshake::running) return;
  if (handshake == Handshake::failed) return reject(id);
  if (!greeting.waiting) {
    Buffer copy;
    while (world_.read(carrier, 1, copy)) {
      HelloReader::State state = greeting.reader.feed(copy);
      require(state != HelloReader::State::failed,
              "a client's HELLO was refused: " + greeting.reader.reason());
      if (state != HelloReader::State::complete) continue;
      HelloRequest request = std::move(greeting.reader.request());
      world_.hello_seen(carrier, request.hello);
      return decide(id,
                    registry_->hello(world_.now(), id, policy(carrier.client), std::move(request)));
    }
  }
  if (greeting.waiting) read_nothing(carrier);
  if (world_.ended(carrier, 1) != Pipe::End::none) return reject(id);
  world_.watch(carrier, 1);
}

void ServerHost::reject(CarrierId id) {
  registry_->carrier_gone(id);
  greetings_.erase(id);
  world_.close(id, 1, Pipe::End::reset);
}

// Whoever has said HELLO waits; only the end of an encrypted carrier is found by reading.
void ServerHost::read_nothing(Carrier& carrier) {
  if (!carrier.ends[1]) return;
  Buffer bytes;
  require(!world_.read(carrier, 1, bytes), "bytes before WELCOME");
}

void ServerHost::decide(CarrierId id, LinkRegistry::Decision decision) {
  Carrier* carrier = world_.carrier(id);
  if (carrier == nullptr || !carrier->server_open) {
    // Of several that waited for the same link, a later attempt has displaced it at once.
    greetings_.erase(id);
    return;
  }
  std::uint32_t client = carrier->client;
  std::visit(overloaded{
                 [&](const LinkRegistry::Accepted& accepted) {
                   greetings_.erase(id);
                   links_[id] = accepted.link->id();
                   auto& driver = drivers_[accepted.link->id()];
                   if (driver == nullptr) {
                     driver =
                         std::make_unique<LinkDriver>(world_, *this, 1, client, *accepted.link);
                   }
                   driver->pump();
                 },
                 [&](const LinkRegistry::Refused& refused) {
                   world_.refusal(client, refused.cause);
                   greetings_.at(id).answer = registry_->welcome_refused(refused);
                   answer(id);
                 },
                 [&](const LinkRegistry::Unknown&) {
                   world_.totals().unknown += 1;
                   greetings_.at(id).answer = registry_->welcome_unknown();
                   answer(id);
                 },
                 [&](const LinkRegistry::Stale&) {
                   world_.totals().stale += 1;
                   greetings_.erase(id);
                   world_.close(id, 1, Pipe::End::reset);
                 },
                 [&](const LinkRegistry::Waiting&) { greetings_.at(id).waiting = true; },
             },
             decision);
}

void ServerHost::answer(CarrierId id) {
  Carrier* carrier = world_.carrier(id);
  Greeting& greeting = greetings_.at(id);
  read_nothing(*carrier);
  iovec rest{greeting.answer.data() + greeting.answered,
             greeting.answer.size() - greeting.answered};
  greeting.answered += world_.write(*carrier, 1, {&rest, 1});
  if (greeting.answered < greeting.answer.size()) {
    if (world_.ended(*carrier, 1) == Pipe::End::none) return world_.watch(*carrier, 1);
  }
  greetings_.erase(id);
  world_.close(id, 1, Pipe::End::eof);
}

void ServerHost::on_timer() {
  armed_ = kNever;
  if (!running()) return;
  if (spun_at_ == world_.now()) {
    require(++spins_ < kMaxSpins, "the server's timer spins");
  } else {
    spins_ = 0;
    spun_at_ = world_.now();
  }
  for (auto& [id, driver] : drivers_) driver->timeout();
  std::vector<CarrierId> late;
  for (auto& [id, greeting] : greetings_) {
    if (world_.now() >= greeting.deadline) late.push_back(id);
  }
  for (CarrierId id : late) reject(id);
  turn();
}

void ServerHost::on_socket(Conversation& conversation) {
  if (!running() || conversation.sides[1].driver == nullptr) return;
  conversation.sides[1].driver->service(conversation);
  turn();
}

void ServerHost::on_backend(Conversation& conversation, bool connected) {
  if (!running() || conversation.sides[1].driver == nullptr) return;
  conversation.sides[1].driver->backend_answer(conversation, connected);
  turn();
}

void ServerHost::on_wake() {
  if (!running() || stalled()) return;
  on_timer();
  for (CarrierId id : world_.all_carriers()) on_carrier(id);
  for (auto& conversation : world_.conversations()) on_socket(*conversation);
}

void ServerHost::kill_stream(Conversation& conversation) {
  Side& side = conversation.sides[1];
  if (!running() || side.driver == nullptr) return;
  conversation.excuses.agent_killed_stream = true;
  side.driver->link().reset(world_.now(), side.handle, Cause::admin_kill);
  turn();
}

void ServerHost::refused(LinkDriver&, const effect::Refused&) {
  throw Failure("Refused at a server");
}

void ServerHost::link_ended(LinkDriver& driver, Cause cause) {
  LinkId id = driver.link().id();
  world_.link_ended(driver, 1, cause);
  world_.count(driver.link().counters(), 1);
  driver.write_trace();
  std::erase_if(links_, [&](const auto& entry) { return entry.second == id; });
  drivers_.erase(id);
  registry_->remove(id);
}

void ServerHost::turn() {
  while (true) {
    std::vector<LinkId> ids;
    for (auto& [id, driver] : drivers_) ids.push_back(id);
    for (const LinkId& id : ids) {
      auto driver = drivers_.find(id);
      if (driver == drivers_.end()) continue;
      driver->second->write_trace();
      driver->second->pump();
    }
    registry_->take_touched();
    auto decisions = registry_->poll(world_.now());
    if (decisions.empty()) break;
    for (auto& [carrier, decision] : decisions) decide(carrier, std::move(decision));
  }
  arm();
  world_.check(*this);
}

void ServerHost::arm() {
  Time next = registry_->next_timeout();
  for (auto& [id, driver] : drivers_) next = std::min(next, driver->link().next_timeout());
  for (auto& [id, greeting] : greetings_) next = std::min(next, greeting.deadline);
  if (next == kNever) return;
  next = std::max(next, world_.now());
  if (armed_ <= next) return;
  armed_ = next;
  world_.schedule(next, EventKind::server_timer, 0, 0);
}

}  // namespace holdfast::sim
