// A loop's state in a memfd: pages that outlive the process, as long as somebody holds the
// descriptor.
#pragma once

#include <memory>

#include "common/core/region_memory.h"

namespace holdfast {

class MemfdMemory final : public RegionMemory {
 public:
  // Of zeroes, and of this size for good (sealed). Null with errno where the host has none to give.
  static std::unique_ptr<MemfdMemory> make(std::size_t size);
  ~MemfdMemory() override;

  bool give_back(std::size_t offset, std::size_t size) override;
  int descriptor() const { return descriptor_; }

 private:
  MemfdMemory(std::span<std::byte> bytes, int descriptor)
      : RegionMemory(bytes), descriptor_(descriptor) {}

  int descriptor_;
};

// Such memory, or where the host has none, the process's own.
std::unique_ptr<RegionMemory> make_state_memory(std::size_t size);

}  // namespace holdfast
