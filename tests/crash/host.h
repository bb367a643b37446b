// Host: one side's kernel, and its process, which dies and begins anew.
#pragma once

#include <memory>
#include <vector>

#include "common/base/time.h"
#include "tests/crash/doom.h"
#include "tests/crash/kernel.h"

namespace holdfast::crash {

class Process;
class World;

class Host {
 public:
  Host(World& world, int side);
  ~Host();

  int side() const { return side_; }
  World& world() { return world_; }

  // --- The kernel ---
  Socket& open(std::uint32_t conversation, Application& application);
  Socket* find(int descriptor);
  std::vector<std::unique_ptr<Socket>>& sockets() { return sockets_; }

  // --- The process ---
  // Null while there is none.
  Process* process() { return process_.get(); }
  // Begins, or goes on from what the last one left. It may die of it, at the `dies_at`-th place.
  void start(std::uint64_t dies_at);
  // Ends it if it has been struck: its carriers fall, its memory is kept.
  void bury();
  // From now on what was left is not gone back to.
  void commit() { relics_.reset(); }
  Doom& doom() { return *doom_; }
  std::uint64_t deaths = 0;

 private:
  World& world_;
  int side_;
  std::vector<std::unique_ptr<Socket>> sockets_;
  std::unique_ptr<RegionMemory> relics_;  // what the next process begins with; null: nothing
  std::unique_ptr<Doom> doom_;
  std::unique_ptr<Process> process_;
};

}  // namespace holdfast::crash
