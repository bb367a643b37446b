#include "common/state/memfd_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "common/core/state_region.h"
#include "tests/catch.h"

namespace holdfast {
namespace {

std::size_t resident(const MemfdMemory& memory) {
  struct stat status {};
  REQUIRE(fstat(memory.descriptor(), &status) == 0);
  return static_cast<std::size_t>(status.st_blocks) * 512;
}

}  // namespace

TEST_CASE("a state of any size costs what was touched, and stays in the descriptor") {
  auto memory = MemfdMemory::make(1024 * kMiB);
  REQUIRE(memory != nullptr);
  CHECK(resident(*memory) == 0);
  std::memset(memory->bytes().data() + 7 * kMiB, 5, kMiB);
  CHECK(resident(*memory) == kMiB);
  char byte = 0;
  REQUIRE(pread(memory->descriptor(), &byte, 1, 7 * kMiB + 3) == 1);
  CHECK(byte == 5);
}

TEST_CASE("pages that are given back are gone from the descriptor, and zero", "[host]") {
  auto memory = MemfdMemory::make(4 * kMiB);
  REQUIRE(memory != nullptr);
  std::memset(memory->bytes().data(), 5, 2 * kMiB);
  REQUIRE(memory->give_back(kMiB, kMiB));
  CHECK(resident(*memory) == kMiB);
  CHECK(memory->bytes()[kMiB] == std::byte{0});
  CHECK(memory->bytes()[kMiB - 1] == std::byte{5});
}

TEST_CASE("nobody can resize a state") {
  auto memory = MemfdMemory::make(kMiB);
  REQUIRE(memory != nullptr);
  CHECK(ftruncate(memory->descriptor(), 0) == -1);
  CHECK(ftruncate(memory->descriptor(), 2 * kMiB) == -1);
  CHECK((fcntl(memory->descriptor(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("an arena in a memfd gives a burst's pages back", "[host]") {
  MemfdMemory* memory = nullptr;
  StateRegion region(16 * kMiB, 100, [&](std::size_t size) {
    auto made = MemfdMemory::make(size);
    memory = made.get();
    return made;
  });
  REQUIRE(memory != nullptr);
  std::vector<BlockIndex> blocks;
  for (int i = 0; i < 1024; ++i) {
    blocks.push_back(region.arena().allocate(1, 0));
    std::memset(region.arena().data(blocks.back()), 1, tuning::kBlockSize);
  }
  std::size_t busy = resident(*memory);
  for (BlockIndex block : blocks) region.arena().release(block);
  region.arena().trim();
  region.arena().trim();
  CHECK(resident(*memory) + 4 * kMiB == busy);
}

}  // namespace holdfast
