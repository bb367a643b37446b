// Doom: when a process dies, and what its memory holds then: all stores up to some
// keep_store_order() and of those up to the next one any part, in words of eight bytes.
//
// What the process does afterwards nobody sees: its port does nothing, and its memory is not looked
// at again.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "common/base/random.h"
#include "common/core/region_memory.h"

namespace holdfast::crash {

class Doom {
 public:
  // Of the process that lives in `memory`, at the `at`-th place from now on; 0: never.
  Doom(Random& random, std::uint64_t at) : random_(random), at_(at) {}

  void watch(std::span<const std::byte> memory) { memory_ = memory; }
  // A place: between two stores, or before or after a system call.
  void pass() { pass(false); }
  // After a system call: what the kernel has stored is there, whole.
  void called() { pass(true); }
  bool struck() const { return struck_; }
  void spare() { at_ = 0; }
  // The memory, when it struck; null: it had none yet.
  std::unique_ptr<RegionMemory> take_relics() { return std::move(relics_); }

  // Whose core's code is running; null: nobody dies.
  static Doom* current;

 private:
  void pass(bool whole);

  Random& random_;
  std::uint64_t at_;
  std::uint64_t passed_ = 0;
  std::span<const std::byte> memory_;
  std::unique_ptr<RegionMemory> relics_;
  bool struck_ = false;
};

// While its process's code runs.
class Running {
 public:
  explicit Running(Doom& doom) { Doom::current = &doom; }
  ~Running() { Doom::current = nullptr; }
};

}  // namespace holdfast::crash
