// Agents that die where tests/outlive/stores.py tells them to: between two stores of what outlives
// them (common/base/store_order.h).
//
// $HOLDFAST_DIE_AT names a file that the test maps, too: its orders, and for each place of each
// kind of agent how often it was passed.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string_view>

#include "common/base/store_order.h"

namespace holdfast {
namespace {

constexpr std::size_t kPlaces = 128;

struct Place {
  std::atomic<std::uint64_t> key;  // 0: free
  std::atomic<std::uint64_t> passed;
  char name[112];
};

struct Orders {
  std::atomic<std::uint64_t> wanted;  // the place to die at, by its number here and one; 0: nowhere
  std::atomic<std::uint64_t> left;    // after it was passed so many times
  Place places[2][kPlaces];           // of clients, of servers
};

Orders* orders() {
  const char* path = std::getenv("HOLDFAST_DIE_AT");
  int file = path != nullptr ? open(path, O_RDWR | O_CLOEXEC) : -1;
  if (file < 0) return nullptr;
  void* memory = mmap(nullptr, sizeof(Orders), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  return memory == MAP_FAILED ? nullptr : static_cast<Orders*>(memory);
}

bool is_server() {
  char path[4096];
  ssize_t size = readlink("/proc/self/exe", path, sizeof path);
  std::string_view program(path, size > 0 ? static_cast<std::size_t>(size) : 0);
  return program.ends_with("holdfast-server");
}

Place* find(Place* places, const char* file, int line) {
  std::uint64_t key = std::hash<std::string_view>()(file) * 31 + static_cast<unsigned>(line);
  key = key != 0 ? key : 1;
  for (std::size_t i = 0; i < kPlaces; ++i) {
    Place& place = places[(key + i) % kPlaces];
    std::uint64_t found = 0;
    if (place.key.compare_exchange_strong(found, key)) {
      std::snprintf(place.name, sizeof place.name, "%s:%d", file, line);
      return &place;
    }
    if (found == key) return &place;
  }
  return nullptr;
}

}  // namespace

void store_hook(const char* file, int line) {
  static Orders* const told = orders();
  static const bool server = is_server();
  if (told == nullptr) return;
  Place* place = find(told->places[server ? 1 : 0], file, line);
  if (place == nullptr) return;
  place->passed += 1;
  auto number = static_cast<std::uint64_t>(place - told->places[0]) + 1;
  if (told->wanted != number || told->left.fetch_sub(1) != 1) return;
  told->wanted = 0;
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

}  // namespace holdfast
