// Root: the memfd that names all of what an agent's process leaves to the next one. Its descriptor
// is what an agent commits (keeper/page.h).
//
//   header, wishes | two copies of the config in force
//
// The header says whose it is and where the loops' regions are: by their descriptors, which the
// next process has under the same numbers. The regions stand for themselves, since each is as large
// as its loop's part of the memory, and is made by its pool; so nothing is sized twice.
//
// The config is kept twice, written in turn, each with a number and a checksum: one that was torn
// falls back to the one before.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/core/region_memory.h"
#include "common/state/memfd_memory.h"

namespace holdfast {

// One file of a config, byte for byte.
struct ConfigFile {
  std::string path;
  std::string text;
  bool operator==(const ConfigFile&) const = default;
};

// Whose a state is. Another one's is of no use.
struct StateOwner {
  std::string kind;  // "client" or "server"
  std::string name;  // the agent's
  bool operator==(const StateOwner&) const = default;
};

struct RootHeader {
  static constexpr std::uint64_t kMagic = 0x31746f6f722d6668;  // "hf-root1"
  static constexpr std::uint16_t kMajor = 1;
  static constexpr std::uint16_t kMinor = 0;
  static constexpr std::size_t kMostRegions = 256;  // threads
  static constexpr std::size_t kText = 64;

  // Of the lineage: what its processes went on with of each other.
  struct Totals {
    std::array<std::uint64_t, 8> recoveries{};  // by StartReason (keeper/page.h)
    std::uint64_t connections = 0;
  };
  struct Region {
    std::uint32_t descriptor_and_one = 0;
    std::uint32_t unused = 0;
    std::uint64_t size = 0;
  };

  std::uint64_t magic = 0;  // stored last
  std::uint16_t major = kMajor;
  std::uint16_t minor = kMinor;
  std::uint32_t size = sizeof(RootHeader);
  std::uint64_t start_id = 0;  // of the lineage: a client's, to its servers
  std::array<char, kText> boot{};
  std::array<char, kText> kind{};
  std::array<char, 4 * kText> name{};
  std::uint32_t regions_used = 0;  // stored last
  Totals totals;
  std::uint32_t incomplete = 0;  // 1: some of it lies where no other process finds it
  std::uint32_t drain = 0;       // what an operator has asked for; the agent's, 0: none
  std::array<Region, kMostRegions> regions{};
};
static_assert(std::is_trivially_copyable_v<RootHeader>);

// What an operator asked for at run time, beside RootHeader::drain. It lies in the header's section
// behind what all builds know: without it, it is all zeros.
struct RootWishes {
  static constexpr std::size_t kMostHeld = 4096;

  std::uint32_t log_level_and_one = 0;      // 0: the config's
  std::uint32_t held_size = 0;              // stored last
  std::array<char, kMostHeld> held_down{};  // names of links, each with a line end
};
static_assert(std::is_trivially_copyable_v<RootWishes>);

// The kernel's id of this boot (random(4)); empty: it does not tell.
std::string boot_id();

class Root {
 public:
  // Null where the host refuses a memfd (errno says why): then nothing outlives the process.
  static std::unique_ptr<Root> make(const StateOwner& owner, std::uint64_t start_id);

  int descriptor() const { return memory_->descriptor(); }
  // Makes the loops' memory, each known here from then on.
  MakeRegionMemory make_regions();
  std::vector<int> region_descriptors() const;
  // All of it is where the next process finds it.
  bool complete() const { return header_->incomplete == 0; }
  // Why it is not: an errno.
  int refusal() const { return refusal_; }

  RootHeader::Totals& totals() { return header_->totals; }
  void set_drain(std::uint32_t drain) { header_->drain = drain; }
  void set_log_level(std::uint32_t level_and_one);
  // Of more names than there is room for the first ones.
  void set_held_down(const std::vector<std::string>& links);
  // What is in force from now on. False: it has no room here.
  bool write_config(const std::vector<ConfigFile>& files);

 private:
  explicit Root(std::unique_ptr<MemfdMemory> memory);

  std::unique_ptr<MemfdMemory> memory_;
  RootHeader* header_;
  RootWishes* wishes_;
  int refusal_ = 0;
  mutable std::mutex mutex_;  // of the config's copies, which a reload writes
};

// Another process's root and regions, read where they lie and never written.
class OldRoot {
 public:
  struct Region {
    int descriptor = -1;
    std::span<const std::byte> bytes;
  };

  // `descriptor` stays open. The error says why nothing can be made of it.
  static Result<OldRoot> open(int descriptor);
  OldRoot(OldRoot&& other) noexcept;
  OldRoot& operator=(OldRoot&&) = delete;
  ~OldRoot();

  // Empty: it is this owner's and of this boot, and all of it is there; else why it is of no use.
  std::string objection(const StateOwner& owner) const;
  std::uint64_t start_id() const { return header_->start_id; }
  int descriptor() const { return descriptor_; }
  const std::vector<Region>& regions() const { return regions_; }
  const RootHeader::Totals& totals() const { return header_->totals; }
  std::uint32_t drain() const { return header_->drain; }
  std::uint32_t log_level_and_one() const { return wishes().log_level_and_one; }
  std::vector<std::string> held_down() const;
  // The newest that is whole; none: none was written.
  std::vector<ConfigFile> config() const;

 private:
  OldRoot() = default;
  const RootWishes& wishes() const;

  int descriptor_ = -1;
  std::span<const std::byte> bytes_;
  const RootHeader* header_ = nullptr;
  std::vector<Region> regions_;
  std::string fault_;  // of a region
};

}  // namespace holdfast
