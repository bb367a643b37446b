#include "tests/sim/agent.h"

#include <algorithm>
#include <utility>

#include "tests/sim/world.h"

namespace holdfast::sim {
namespace {

// Turns without any time between them: far beyond what one input can cause.
constexpr int kMaxSpins = 20000;

}  // namespace

Agent::Agent(World& world, int side, std::uint32_t client, std::uint32_t host,
             std::size_t descriptors)
    : Process(world.kernel(), host, descriptors), world_(world), side_(side), client_(client) {
  Running running(*this);
  loop_ = std::make_unique<Loop>();
  commanded_ = std::make_unique<Wakeup>(*loop_, [this] {
    for (auto& each : std::exchange(commands_, {})) each();
  });
}

void Agent::command(std::function<void()> what) {
  Running running(*this);
  commands_.push_back(std::move(what));
  commanded_->wake();
}

std::size_t Agent::descriptors() const {
  return static_cast<std::size_t>(first_descriptor()) + limit();
}

void Agent::begin() {
  bool more = false;
  {
    Running running(*this);
    more = loop_->begin(task());
  }
  if (more) wake();
}

bool Agent::turn() {
  bool more = false;
  {
    Running running(*this);
    more = loop_->turn();
    over_ = loop_->stopped();
  }
  if (spun_at_ != world_.now()) spins_ = 0;
  spun_at_ = world_.now();
  require(++spins_ < kMaxSpins, side_ == 0 ? "a client's loop spins" : "the server's loop spins");
  world_.kernel().check();
  world_.judge();
  if (!over_) check();
  return more && !over_;
}

// Shared parts stay under their limits; blocks beyond floors and shared parts can only be those
// that a gather still refers to.
void Agent::check_pool(const MemoryPool& pool, std::size_t links) const {
  std::uint64_t half = pool.memory() / 2;
  std::uint64_t shared = half - std::min(half, MemoryPool::kStreamFloor * pool.max_streams());
  require(pool.send.used() <= shared, "send logs over their half of the memory");
  require(pool.receive.used() <= shared, "receive credit over its half of the memory");
  std::uint64_t pins = links * std::min<std::uint64_t>(tuning::kMaxGatherBuffers,
                                                       tuning::kMaxGather / tuning::kBlockSize + 2 +
                                                           2 * world_.conversations().size());
  std::uint64_t blocks = pool.arena.in_use();
  std::uint64_t allowed = 2 * tuning::kFloorBlocks * pool.streams() +
                          (pool.send.used() + pool.receive.used()) / tuning::kBlockSize + pins;
  require(blocks <= allowed, "blocks held that nobody accounts for: " + std::to_string(blocks) +
                                 " of " + std::to_string(allowed));
}

// --- What it says, for the oracle ----------------------------------------------------------------

void Agent::link_up(const LinkEvent& event) {
  world_.link_up(*this, event, false);
}

void Agent::link_resumed(const LinkEvent& event) {
  world_.link_up(*this, event, true);
}

void Agent::link_down(const LinkEvent& event) {
  world_.link_down(*this, event);
}

void Agent::link_ended(const LinkEvent& event) {
  world_.link_ended(*this, event);
}

void Agent::link_refused(const LinkEvent& event, Duration) {
  world_.refused(*this, event.cause);
}

void Agent::link_draining(const LinkEvent&) {
  if (side_ == 1) world_.kernel().blame("Draining at a server");
}

void Agent::connection_open(const ConnectionInfo& connection) {
  world_.stream_open(*this, connection);
}

void Agent::connection_closed(const ConnectionInfo& connection) {
  world_.stream_ended(*this, connection);
}

void Agent::connection_refused(const OpenRefusal& refusal) {
  world_.open_refused(*this, refusal.peer, refusal.cause);
}

void Agent::application_refused(const Refusal& refusal) {
  world_.kernel().blame("an application was refused: " + refusal.reason);
}

void Agent::carrier_rejected(const std::string&, Cause cause, const std::string& reason) {
  world_.rejected(cause, reason);
}

void Agent::listen_failed(const std::string& address, const std::string& reason) {
  world_.kernel().blame("cannot listen on " + address + ": " + reason);
}

void Agent::warning(const std::string& text) {
  bool of_another = text.find("another server answers") != std::string::npos;
  if (of_another && world_.server().renamed()) return;
  world_.kernel().blame("a warning: " + text);
}

void Agent::trace(const LinkId& link, const std::vector<TraceEvent>& events) {
  world_.write_trace(*this, link, events);
}

}  // namespace holdfast::sim
