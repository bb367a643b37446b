#include "common/state/root.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sstream>
#include <type_traits>
#include <utility>

#include "common/base/bytes.h"
#include "common/base/crc32.h"
#include "common/base/host_refused.h"
#include "common/base/store_order.h"

namespace holdfast {
namespace {

constexpr std::size_t kSection = 64 * 1024;
// The files of a config are 1 MiB together at most (config/text_guard.h), their names less.
constexpr std::size_t kConfigSize = 3 * kMiB;

struct ConfigCopy {
  std::uint64_t number = 0;  // of the two the higher one counts; 0: none
  std::uint32_t size = 0;
  std::uint32_t checksum = 0;
  std::uint8_t bytes[kConfigSize];
};

constexpr std::size_t kCopyStride = (sizeof(ConfigCopy) + kSection - 1) / kSection * kSection;
constexpr std::size_t kRootSize = kSection + 2 * kCopyStride;
constexpr std::size_t kWishesAt = kSection / 2;
static_assert(sizeof(RootHeader) <= kWishesAt && sizeof(RootWishes) <= kSection - kWishesAt);

std::size_t place_of(std::size_t copy) {
  return kSection + copy * kCopyStride;
}

template <std::size_t size>
void put(std::array<char, size>& field, std::string_view text) {
  field.fill(0);
  std::copy_n(text.begin(), std::min(text.size(), size - 1), field.begin());
}

template <std::size_t size>
std::string_view text_of(const std::array<char, size>& field) {
  return {field.data(), strnlen(field.data(), size)};
}

void put_text(std::string& out, std::string_view text) {
  auto size = static_cast<std::uint32_t>(text.size());
  out.append(reinterpret_cast<const char*>(&size), sizeof size);
  out.append(text);
}

bool take_text(std::string_view& in, std::string& text) {
  std::uint32_t size = 0;
  if (in.size() < sizeof size) return false;
  std::memcpy(&size, in.data(), sizeof size);
  in.remove_prefix(sizeof size);
  if (size > in.size()) return false;
  text = in.substr(0, size);
  in.remove_prefix(size);
  return true;
}

bool whole(const ConfigCopy& copy) {
  return copy.number != 0 && copy.size <= kConfigSize &&
         crc32(Bytes(copy.bytes, copy.size)) == copy.checksum;
}

// Of a memfd that nobody can cut short meanwhile; nothing of anything else. What cannot be mapped
// for want of memory is not given up: this process ends, and the next one may have some.
std::span<const std::byte> map_sealed(int descriptor) {
  int seals = fcntl(descriptor, F_GET_SEALS);
  struct stat status {};
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || fstat(descriptor, &status) != 0) return {};
  auto size = static_cast<std::size_t>(status.st_size);
  void* memory = mmap(nullptr, size, PROT_READ, MAP_SHARED | MAP_NORESERVE, descriptor, 0);
  if (memory == MAP_FAILED && errno == ENOMEM) {
    host_refused("memory to look at what the last process left", errno);
  }
  if (memory == MAP_FAILED) return {};
  return {static_cast<const std::byte*>(memory), size};
}

void unmap(std::span<const std::byte> bytes) {
  if (!bytes.empty()) munmap(const_cast<std::byte*>(bytes.data()), bytes.size());
}

}  // namespace

std::string boot_id() {
  char text[64];
  int file = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
  if (file < 0) return {};
  ssize_t size = read(file, text, sizeof text);
  close(file);
  while (size > 0 && text[size - 1] == '\n') --size;
  return size > 0 ? std::string(text, static_cast<std::size_t>(size)) : std::string();
}

// --- Written ---------------------------------------------------------------------------------

Root::Root(std::unique_ptr<MemfdMemory> memory)
    : memory_(std::move(memory)),
      header_(std::construct_at(reinterpret_cast<RootHeader*>(memory_->bytes().data()))),
      wishes_(
          std::construct_at(reinterpret_cast<RootWishes*>(memory_->bytes().data() + kWishesAt))) {}

std::unique_ptr<Root> Root::make(const StateOwner& owner, std::uint64_t start_id) {
  auto memory = MemfdMemory::make(kRootSize);
  if (memory == nullptr) return nullptr;
  std::unique_ptr<Root> root(new Root(std::move(memory)));
  RootHeader& header = *root->header_;
  header.start_id = start_id;
  put(header.boot, boot_id());
  put(header.kind, owner.kind);
  put(header.name, owner.name);
  keep_store_order();
  header.magic = RootHeader::kMagic;
  return root;
}

MakeRegionMemory Root::make_regions() {
  return [this](std::size_t size) -> std::unique_ptr<RegionMemory> {
    auto memory =
        header_->regions_used < header_->regions.size() ? MemfdMemory::make(size) : nullptr;
    if (memory == nullptr) {
      refusal_ = errno;
      header_->incomplete = 1;
      return make_plain_memory(size);
    }
    RootHeader::Region& region = header_->regions[header_->regions_used];
    region = {static_cast<std::uint32_t>(memory->descriptor() + 1), 0, memory->bytes().size()};
    keep_store_order();
    header_->regions_used += 1;
    return memory;
  };
}

std::vector<int> Root::region_descriptors() const {
  std::vector<int> descriptors;
  for (std::uint32_t i = 0; i < header_->regions_used; ++i) {
    descriptors.push_back(static_cast<int>(header_->regions[i].descriptor_and_one) - 1);
  }
  return descriptors;
}

void Root::set_log_level(std::uint32_t level_and_one) {
  wishes_->log_level_and_one = level_and_one;
}

void Root::set_held_down(const std::vector<std::string>& links) {
  std::string text;
  for (const std::string& each : links) {
    if (text.size() + each.size() < wishes_->held_down.size()) text += each + "\n";
  }
  wishes_->held_size = 0;
  keep_store_order();
  std::copy(text.begin(), text.end(), wishes_->held_down.begin());
  keep_store_order();
  wishes_->held_size = static_cast<std::uint32_t>(text.size());
}

bool Root::write_config(const std::vector<ConfigFile>& files) {
  std::string text;
  for (const ConfigFile& file : files) {
    put_text(text, file.path);
    put_text(text, file.text);
  }
  if (text.size() > kConfigSize) return false;
  std::lock_guard lock(mutex_);
  auto* base = memory_->bytes().data();
  auto* one = reinterpret_cast<ConfigCopy*>(base + place_of(0));
  auto* other = reinterpret_cast<ConfigCopy*>(base + place_of(1));
  ConfigCopy& copy = one->number > other->number ? *other : *one;
  std::uint64_t number = std::max(one->number, other->number) + 1;
  copy.number = 0;
  keep_store_order();
  std::memcpy(copy.bytes, text.data(), text.size());
  copy.size = static_cast<std::uint32_t>(text.size());
  copy.checksum = crc32(Bytes(copy.bytes, copy.size));
  keep_store_order();
  copy.number = number;
  return true;
}

// --- Read ------------------------------------------------------------------------------------

Result<OldRoot> OldRoot::open(int descriptor) {
  OldRoot root;
  root.descriptor_ = descriptor;
  root.bytes_ = map_sealed(descriptor);
  if (root.bytes_.size() < kRootSize) return Error{"the state is no sealed memory"};
  const auto* header = reinterpret_cast<const RootHeader*>(root.bytes_.data());
  if (header->magic != RootHeader::kMagic) return Error{"this is no state"};
  bool format = header->major == RootHeader::kMajor && header->size == sizeof(RootHeader);
  if (!format) return Error{"the state is of another format"};
  root.header_ = header;
  std::size_t used = std::min<std::size_t>(header->regions_used, header->regions.size());
  for (std::size_t i = 0; i < used; ++i) {
    const RootHeader::Region& each = header->regions[i];
    Region region{static_cast<int>(each.descriptor_and_one) - 1, {}};
    region.bytes = map_sealed(region.descriptor);
    bool is_it = !region.bytes.empty() && region.bytes.size() == each.size;
    if (!is_it) root.fault_ = "a loop's part of the state is missing";
    root.regions_.push_back(region);
  }
  return root;
}

OldRoot::OldRoot(OldRoot&& other) noexcept
    : descriptor_(other.descriptor_),
      bytes_(std::exchange(other.bytes_, {})),
      header_(other.header_),
      regions_(std::exchange(other.regions_, {})),
      fault_(std::move(other.fault_)) {}

OldRoot::~OldRoot() {
  for (const Region& each : regions_) unmap(each.bytes);
  unmap(bytes_);
}

std::string OldRoot::objection(const StateOwner& owner) const {
  if (text_of(header_->boot) != boot_id()) return "the state is of another boot";
  if (text_of(header_->kind) != owner.kind) return "the state is another kind of agent's";
  if (text_of(header_->name) != owner.name) return "the state is of an agent of another name";
  if (header_->incomplete != 0) return "the state was not all kept";
  return fault_;
}

const RootWishes& OldRoot::wishes() const {
  return *reinterpret_cast<const RootWishes*>(bytes_.data() + kWishesAt);
}

std::vector<std::string> OldRoot::held_down() const {
  std::size_t size = std::min<std::size_t>(wishes().held_size, RootWishes::kMostHeld);
  std::istringstream text(std::string(wishes().held_down.data(), size));
  std::vector<std::string> links;
  for (std::string each; std::getline(text, each);) links.push_back(each);
  return links;
}

std::vector<ConfigFile> OldRoot::config() const {
  const ConfigCopy* newest = nullptr;
  for (std::size_t i = 0; i < 2; ++i) {
    const auto* copy = reinterpret_cast<const ConfigCopy*>(bytes_.data() + place_of(i));
    if (whole(*copy) && (newest == nullptr || copy->number > newest->number)) newest = copy;
  }
  std::vector<ConfigFile> files;
  if (newest == nullptr) return files;
  std::string_view text(reinterpret_cast<const char*>(newest->bytes), newest->size);
  while (!text.empty()) {
    ConfigFile file;
    if (!take_text(text, file.path) || !take_text(text, file.text)) return {};
    files.push_back(std::move(file));
  }
  return files;
}

}  // namespace holdfast
