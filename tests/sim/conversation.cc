#include "tests/sim/conversation.h"

#include <algorithm>
#include <cstring>

#include "common/core/tuning.h"

namespace holdfast::sim {
namespace {

// As the agents': how long an application that reads nothing holds up a reset.
constexpr Duration kFlushPatience = seconds(5);

std::uint64_t pattern_word(std::uint64_t key, std::uint64_t index) {
  std::uint64_t z = key + (index + 1) * 0x9e3779b97f4a7c15U;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31);
}

}  // namespace

std::uint8_t pattern_byte(std::uint64_t key, std::uint64_t offset) {
  return static_cast<std::uint8_t>(pattern_word(key, offset / 8) >> (8 * (offset % 8)));
}

void fill_pattern(std::uint64_t key, std::uint64_t offset, std::uint8_t* to, std::size_t size) {
  while (size != 0) {
    std::uint64_t word = pattern_word(key, offset / 8) >> (8 * (offset % 8));
    std::size_t take = std::min<std::size_t>(size, 8 - offset % 8);
    for (std::size_t i = 0; i < take; ++i) to[i] = static_cast<std::uint8_t>(word >> (8 * i));
    to += take;
    offset += take;
    size -= take;
  }
}

bool matches_pattern(std::uint64_t key, std::uint64_t offset, Bytes bytes) {
  std::uint8_t expected[512];
  while (!bytes.empty()) {
    std::size_t size = std::min(bytes.size(), sizeof expected);
    fill_pattern(key, offset, expected, size);
    if (std::memcmp(expected, bytes.data(), size) != 0) return false;
    offset += size;
    bytes = bytes.subspan(size);
  }
  return true;
}

void Conversation::check_delivery(int side, Bytes bytes) const {
  const Side& to = sides[side];
  const Side& from = sides[1 - side];
  std::string where = name() + (side == 0 ? " at the client: " : " at the backend: ");
  require(!to.got_fin, where + "bytes after FIN");
  require(!to.got_reset, where + "bytes after the socket's reset");
  require(to.accepted + bytes.size() <= from.taken, where + "bytes that nobody sent");
  require(matches_pattern(from.key, to.accepted, bytes),
          where + "wrong bytes at offset " + std::to_string(to.accepted));
}

void Conversation::check_fin(int side) const {
  const Side& to = sides[side];
  const Side& from = sides[1 - side];
  std::string where = name() + (side == 0 ? " at the client: " : " at the backend: ");
  require(!to.got_fin && !to.got_reset, where + "FIN after the end");
  require(from.finish_told, where + "FIN that the peer never sent");
  require(to.accepted == from.taken,
          where + "a clean end over lost bytes: " + std::to_string(to.accepted) + " of " +
              std::to_string(from.taken));
}

// The agent says that this side was reset because the other application had reset its own: in
// order, so after everything before it. Bytes may be left with an application that did not read.
void Conversation::check_reset(int side) const {
  const Side& to = sides[side];
  const Side& from = sides[1 - side];
  bool idle = to.idle_at_reset >= kFlushPatience;
  require(to.accepted + to.lost == from.taken && (to.lost == 0 || idle),
          name() + (side == 0 ? " at the client: " : " at the backend: ") +
              "a reset that did not come in order after " + std::to_string(from.taken) +
              " bytes (" + std::to_string(to.accepted) + " arrived, then " +
              std::to_string(to.lost) + " were thrown away)");
}

// Where one application's reset is all that happened, the other one reads every byte before it.
void Conversation::check_reset_in_order(int side) const {
  const Side& from = sides[side];
  const Side& to = sides[1 - side];
  if (!excuses.only_application_reset() || !from.abort_told || to.said_reset) return;
  if (!to.got_reset) {
    // Both ends were said already, or nobody was reached (open_timeout ends it).
    require(to.ended == 0 || to.got_fin, name() + ": a reset that never came");
    return;
  }
  // It may be held up by a reader only for so long.
  bool lingered =
      from.ended_cause == Cause::linger_timeout || to.ended_cause == Cause::linger_timeout;
  bool long_ago = to.reset_at - from.abort_told_at >= tuning::kAbortLinger;
  if (lingered && long_ago) return;
  check_reset(1 - side);
}

void Conversation::check_end() const {
  if (!started) return;
  for (int side = 0; side < 2; ++side) {
    const Side& one = sides[side];
    std::string where = name() + (side == 0 ? " at the client: " : " at the backend: ");
    require(one.end == nullptr, where + "never ended");
    require(one.ended <= 1, where + "ended twice");
    if (!opened) continue;
    check_reset_in_order(side);
    if (excuses.any()) continue;
    require(one.ended == 1 || one.process_gone, where + "never told that it ended");
    require(backend_connects == 1, where + "never reached");
    std::uint64_t all = one.script.total;
    const Side& other = sides[1 - side];
    require(one.finish_told && one.taken == all, where + "did not send everything");
    require(other.got_fin && other.accepted == all && other.lost == 0,
            where + "only " + std::to_string(other.accepted) + " of " + std::to_string(all) +
                " bytes arrived, FIN " + (other.got_fin ? "did" : "did not") + " (cause " +
                std::string(to_string(one.ended_cause)) + " / " +
                std::string(to_string(other.ended_cause)) + ")");
  }
}

}  // namespace holdfast::sim
