#include "common/core/region_memory.h"

#include <sys/mman.h>

#include <cerrno>

#include "common/base/host_refused.h"

namespace holdfast {
namespace {

class PlainMemory final : public RegionMemory {
 public:
  explicit PlainMemory(std::span<std::byte> bytes) : RegionMemory(bytes) {}
  ~PlainMemory() override { munmap(bytes().data(), bytes().size()); }
  bool give_back(std::size_t offset, std::size_t size) override {
    return madvise(bytes().data() + offset, size, MADV_DONTNEED) == 0;
  }
};

}  // namespace

std::unique_ptr<RegionMemory> make_plain_memory(std::size_t size) {
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) host_refused(kBuffers, errno);
  return std::make_unique<PlainMemory>(std::span(static_cast<std::byte*>(memory), size));
}

}  // namespace holdfast
