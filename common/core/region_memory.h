// RegionMemory: pages that a StateRegion lies in. They stay where they are, and nobody pays for
// those that were never touched. Who makes them decides whether they outlive the process.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>

namespace holdfast {

class RegionMemory {
 public:
  virtual ~RegionMemory() = default;
  RegionMemory(const RegionMemory&) = delete;
  RegionMemory& operator=(const RegionMemory&) = delete;

  std::span<std::byte> bytes() const { return bytes_; }
  // Gives whole pages back to the system; they are zero again. False: it refused, they stay.
  virtual bool give_back(std::size_t offset, std::size_t size) = 0;

 protected:
  explicit RegionMemory(std::span<std::byte> bytes) : bytes_(bytes) {}
  void set(std::span<std::byte> bytes) { bytes_ = bytes; }

 private:
  std::span<std::byte> bytes_;
};

// Makes zeroed pages, at least so many bytes.
using MakeRegionMemory = std::function<std::unique_ptr<RegionMemory>(std::size_t size)>;

// This process's alone: gone with it. Where the host has no room for it the process says so and
// ends (host_refused).
std::unique_ptr<RegionMemory> make_plain_memory(std::size_t size);

}  // namespace holdfast
