#include "tests/crash/world.h"

#include "tests/crash/process.h"

namespace holdfast::crash {

World::World(std::uint64_t seed, std::uint64_t life) : random_(seed) {
  auto count = static_cast<std::uint32_t>(random_.between(1, 4));
  talks_.resize(count);
  bool resets = random_.one_in(3);
  for (std::uint32_t i = 0; i < count; ++i) {
    for (int side = 0; side < 2; ++side) {
      Application& one = talks_[i].applications[side];
      one.key = seed * 64 + i * 2 + static_cast<unsigned>(side);
      one.peer_key = seed * 64 + i * 2 + static_cast<unsigned>(1 - side);
      one.other = &talks_[i].applications[1 - side];
      one.total = random_.one_in(3) ? random_.below(10) : random_.below(30000);
      one.resets = resets && random_.one_in(3);
      one.answers = side == 1 && random_.one_in(2);
    }
  }
  // How many places a process passes before it dies.
  mean_life_ = std::uint64_t{1} << random_.between(2, 11);
  if (life != 0) mean_life_ = life;
  for (int side = 0; side < 2; ++side) hosts_[side] = std::make_unique<Host>(*this, side);
}

// --- The network -------------------------------------------------------------------------------

Wire* World::wire(CarrierId id) {
  auto found = wires_.find(id.value);
  return found == wires_.end() ? nullptr : &found->second;
}

Wire& World::new_wire() {
  Wire& wire = wires_[++last_wire_];
  wire.id = CarrierId{last_wire_};
  wire.held[1] = true;
  return wire;
}

void World::hang_up(CarrierId id, int side) {
  if (Wire* found = wire(id)) {
    found->held[side] = false;
    found->ends[1 - side] = true;
    found->to[side].clear();
  }
}

void World::drop_wires(int side) {
  for (auto& [number, wire] : wires_) hang_up(wire.id, side);
}

// Some bytes of some carrier arrive at this side, and then that it is over.
void World::move_bytes(int side) {
  Process* process = hosts_[side]->process();
  std::vector<CarrierId> ready;
  for (auto& [number, wire] : wires_) {
    if (wire.held[side] && (!wire.to[side].empty() || wire.ends[side])) ready.push_back(wire.id);
  }
  std::erase_if(wires_,
                [](const auto& each) { return !each.second.held[0] && !each.second.held[1]; });
  if (process == nullptr || ready.empty()) return;
  Wire& wire = wires_.at(ready[random_.below(ready.size())].value);
  auto& pipe = wire.to[side];
  if (pipe.empty()) {
    wire.held[side] = false;
    wire.ends[1 - side] = true;
    process->carrier_down(wire);
  } else {
    std::size_t size = 1 + random_.below(std::min<std::size_t>(pipe.size(), 4096));
    std::vector<std::uint8_t> bytes(pipe.begin(), pipe.begin() + static_cast<std::ptrdiff_t>(size));
    pipe.erase(pipe.begin(), pipe.begin() + static_cast<std::ptrdiff_t>(size));
    process->carrier_bytes(wire, bytes);
  }
  hosts_[side]->bury();
}

// --- Applications ------------------------------------------------------------------------------

Application& World::connects(std::uint32_t conversation) {
  require(conversation < talks_.size(), "a connect for a conversation that is not");
  Application& service = talks_[conversation].applications[1];
  // A connection that was made just before a death, and of which nobody knew, is there no more. And
  // one that was reset before its application had said or heard anything: who dies between
  // forgetting that application's socket and closing it leaves it to the next one as if just
  // accepted.
  bool over = (service.said_reset || service.heard_reset) && service.heard == 0 &&
              talks_[conversation].applications[0].heard == 0;
  require(over || (service.read_of_it == 0 && service.heard == 0 && !service.heard_end),
          "conversation " + std::to_string(conversation) + ": a service is connected twice");
  service.read_of_it = 0;
  service.said = service.taken = 0;
  service.said_end = service.said_reset = service.heard_reset = service.end_read = false;
  service.heard_end = false;
  talks_[conversation].connected = true;
  return service;
}

void World::reset(std::uint32_t conversation, int, Cause cause) {
  const Talk& talk = talks_[conversation];
  bool asked = talk.applications[0].said_reset || talk.applications[1].said_reset;
  require(asked, "conversation " + std::to_string(conversation) + ": reset for " +
                     std::string(to_string(cause)));
}

void World::talk(Talk& talk, int side) {
  Application& one = talk.applications[side];
  if (one.said_reset || one.heard_reset) return;
  if (random_.one_in(2) || healed_) {
    std::uint64_t waits = one.heard - one.taken;
    one.taken += healed_ ? waits : random_.below(waits + 1);
  }
  bool connected = side == 0 || one.heard > 0 || healed_ || random_.one_in(4);
  if (!connected) return;
  bool stands = false;
  for (auto& socket : hosts_[side]->sockets()) {
    stands = stands || (socket->open() && &talks_[socket->conversation()] == &talk);
  }
  if (!stands) return;
  if (one.said < one.total) {
    one.said += healed_ ? one.total - one.said : random_.below(one.total - one.said + 1);
  } else if (!one.said_end && (!one.answers || one.heard_end)) {
    (one.resets ? one.said_reset : one.said_end) = true;
  }
}

// --- Time --------------------------------------------------------------------------------------

void World::live(int side) {
  Host& host = *hosts_[side];
  if (host.process() == nullptr) {
    // Sometimes another dies while it recovers, or soon.
    if (healed_ || random_.one_in(3)) host.start(healed_ ? 0 : 1 + random_.below(2 * mean_life_));
    return;
  }
  Process& process = *host.process();
  if (side == 0) {
    for (std::uint32_t i = 0; i < talks_.size(); ++i) {
      if (talks_[i].begun || !(healed_ || random_.one_in(8))) continue;
      talks_[i].begun = true;
      process.accept(i);
      break;
    }
    if (random_.one_in(3) || healed_) process.dial();
  }
  std::vector<StreamHandle> streams = process.streams();
  for (StreamHandle stream : streams) {
    if (!healed_ && random_.one_in(2)) continue;
    process.read_socket(stream);
    process.write_socket(stream);
  }
  process.turn();
  host.bury();
}

void World::act() {
  now_ += milliseconds(random_.below(8));
  if (!healed_ && random_.one_in(200)) {
    for (auto& [number, wire] : wires_) {
      for (int side = 0; side < 2; ++side) {
        wire.ends[side] = true;
        if (random_.one_in(2)) wire.to[side].clear();
      }
    }
  }
  for (Talk& each : talks_) {
    if (each.begun) talk(each, static_cast<int>(random_.below(2)));
  }
  live(static_cast<int>(random_.below(2)));
  move_bytes(static_cast<int>(random_.below(2)));
  require(blamed_.empty(), blamed_);
}

bool World::over() const {
  for (const Talk& each : talks_) {
    if (!each.begun) return false;
  }
  for (auto& host : hosts_) {
    if (host->process() == nullptr || !host->process()->idle()) return false;
    if (host->process()->link() != nullptr && host->process()->link()->stream_count() != 0) {
      return false;
    }
  }
  return true;
}

void World::check_end() const {
  for (std::size_t i = 0; i < talks_.size(); ++i) {
    const Talk& each = talks_[i];
    bool reset = each.applications[0].said_reset || each.applications[1].said_reset;
    for (const Application& one : each.applications) {
      std::string name = "conversation " + std::to_string(i) + ": ";
      if (one.said_reset) continue;
      if (reset) {
        bool there = &one == &each.applications[0] || each.connected;
        require(!there || one.heard_reset || one.heard_end, name + "a reset that nobody heard");
        continue;
      }
      require(!one.heard_reset, name + "reset, though nobody asked for it");
      require(
          one.heard_end && one.heard == one.other->total,
          name + "heard " + std::to_string(one.heard) + " of " + std::to_string(one.other->total));
    }
  }
  for (auto& host : hosts_) {
    const MemoryPool& pool = host->process()->pool();
    require(pool.streams() == 0 && pool.send.used() == 0 && pool.receive.used() == 0,
            "a pool's account is not empty");
    for (auto& socket : host->sockets()) require(!socket->open(), "a socket is left open");
  }
}

void World::run() {
  std::uint64_t steps = 300 + random_.below(3000);
  for (std::uint64_t i = 0; i < steps; ++i) act();
  healed_ = true;
  for (auto& host : hosts_) {
    if (host->process() != nullptr) host->doom().spare();
  }
  for (int i = 0; i < 40000 && !over(); ++i) act();
  require(over(), "it does not end");
  check_end();
}

}  // namespace holdfast::crash
