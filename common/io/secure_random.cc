#include "common/io/secure_random.h"

#include <sys/random.h>

#include <cerrno>

#include "common/base/host_refused.h"

namespace holdfast {
namespace {

void fill(void* to, std::size_t size) {
  ssize_t got = 0;
  do {
    got = getrandom(to, size, 0);  // whole, for at most 256 bytes
  } while (got < 0 && errno == EINTR);
  if (got != static_cast<ssize_t>(size)) host_refused("random numbers", errno);
}

}  // namespace

std::uint64_t random_u64() {
  std::uint64_t value = 0;
  fill(&value, sizeof value);
  return value;
}

MarkKey random_mark_key() {
  MarkKey key{};
  fill(key.data(), key.size());
  return key;
}

LinkId random_link_id() {
  LinkId id;
  fill(id.bytes.data(), id.bytes.size());
  return id;
}

}  // namespace holdfast
