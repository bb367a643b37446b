#include "common/state/root.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <cstring>

#include "common/base/bytes.h"
#include "tests/catch.h"

namespace holdfast {
namespace {

const StateOwner kOwner{"client", "edge"};

// The root as who holds its descriptor may write it.
RootHeader* header_of(const Root& root) {
  void* memory = mmap(nullptr, 4096 * 4, PROT_READ | PROT_WRITE, MAP_SHARED, root.descriptor(), 0);
  REQUIRE(memory != MAP_FAILED);
  return static_cast<RootHeader*>(memory);
}

}  // namespace

TEST_CASE("another process finds whose a state is, its regions and its config") {
  auto root = Root::make(kOwner, 77);
  REQUIRE(root != nullptr);
  auto memory = root->make_regions()(64 * kKiB);
  std::memset(memory->bytes().data(), 5, 10);
  std::vector<ConfigFile> files{{"/etc/a.toml", "x = 1\n"}, {"/etc/conf.d/b.toml", ""}};
  REQUIRE(root->write_config(files));
  auto old = OldRoot::open(root->descriptor());
  REQUIRE(old.ok());
  CHECK(old->objection(kOwner).empty());
  CHECK(old->start_id() == 77);
  REQUIRE(old->regions().size() == 1);
  CHECK(old->regions()[0].bytes[9] == std::byte{5});
  CHECK(old->regions()[0].descriptor == root->region_descriptors()[0]);
  CHECK(old->config() == files);
}

TEST_CASE("a state of another kind, name or boot is of no use") {
  auto root = Root::make(kOwner, 77);
  CHECK(OldRoot::open(root->descriptor())->objection({"server", "edge"}) ==
        "the state is another kind of agent's");
  CHECK(OldRoot::open(root->descriptor())->objection({"client", "other"}) ==
        "the state is of an agent of another name");
  header_of(*root)->boot[3] ^= 1;
  CHECK(OldRoot::open(root->descriptor())->objection(kOwner) == "the state is of another boot");
}

TEST_CASE("a state of another format, or none at all, is not read") {
  CHECK_FALSE(OldRoot::open(0).ok());
  CHECK_FALSE(OldRoot::open(-1).ok());
  auto memory = MemfdMemory::make(kMiB);
  CHECK_FALSE(OldRoot::open(memory->descriptor()).ok());
  auto root = Root::make(kOwner, 77);
  header_of(*root)->major += 1;
  CHECK(OldRoot::open(root->descriptor()).error().message == "the state is of another format");
  header_of(*root)->magic = 0;
  CHECK(OldRoot::open(root->descriptor()).error().message == "this is no state");
}

TEST_CASE("a region that is gone makes all of it useless") {
  auto root = Root::make(kOwner, 77);
  root->make_regions()(64 * kKiB).reset();
  CHECK(OldRoot::open(root->descriptor())->objection(kOwner) ==
        "a loop's part of the state is missing");
}

TEST_CASE("what lies where nobody finds it is not gone on with") {
  auto root = Root::make(kOwner, 77);
  auto make = root->make_regions();
  std::vector<std::unique_ptr<RegionMemory>> regions;
  for (std::size_t i = 0; i < RootHeader::kMostRegions; ++i) regions.push_back(make(64 * kKiB));
  CHECK(root->complete());
  regions.push_back(make(64 * kKiB));
  CHECK_FALSE(root->complete());
  CHECK(OldRoot::open(root->descriptor())->objection(kOwner) == "the state was not all kept");
}

TEST_CASE("of a config that was just being written the one before counts") {
  auto root = Root::make(kOwner, 77);
  CHECK(OldRoot::open(root->descriptor())->config().empty());
  REQUIRE(root->write_config({{"a", "1"}}));
  REQUIRE(root->write_config({{"a", "2"}}));
  REQUIRE(root->write_config({{"a", "3"}}));
  CHECK(OldRoot::open(root->descriptor())->config()[0].text == "3");
  // Torn: its bytes are others than its checksum says.
  auto old = OldRoot::open(root->descriptor());
  std::size_t size = 8 * kMiB;
  auto* bytes = static_cast<char*>(
      mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, root->descriptor(), 0));
  REQUIRE(bytes != MAP_FAILED);
  auto* found = static_cast<char*>(memmem(bytes, 6 * kMiB, "\1\0\0\0a\1\0\0\0003", 10));
  REQUIRE(found != nullptr);
  found[9] = '4';
  CHECK(OldRoot::open(root->descriptor())->config()[0].text == "2");
  munmap(bytes, size);
}

TEST_CASE("a config without room for it is not half written") {
  auto root = Root::make(kOwner, 77);
  REQUIRE(root->write_config({{"a", "1"}}));
  CHECK_FALSE(root->write_config({{"a", std::string(4 * kMiB, 'x')}}));
  CHECK(OldRoot::open(root->descriptor())->config()[0].text == "1");
}

}  // namespace holdfast
