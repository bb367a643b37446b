#include "tests/sim/conversation.h"

#include <algorithm>
#include <cstring>

namespace holdfast::sim {
namespace {

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
  require(!to.got_abort, where + "bytes after ABORT");
  require(!to.got_reset, where + "bytes after the socket's reset");
  require(to.accepted + bytes.size() <= from.taken, where + "bytes that nobody sent");
  require(matches_pattern(from.key, to.accepted, bytes),
          where + "wrong bytes at offset " + std::to_string(to.accepted));
}

void Conversation::check_fin(int side) const {
  const Side& to = sides[side];
  const Side& from = sides[1 - side];
  std::string where = name() + (side == 0 ? " at the client: " : " at the backend: ");
  require(!to.got_fin && !to.got_abort && !to.got_reset, where + "FIN after the end");
  require(from.finish_told, where + "FIN that the peer never sent");
  require(to.accepted == from.taken,
          where + "a clean end over lost bytes: " + std::to_string(to.accepted) + " of " +
              std::to_string(from.taken));
}

void Conversation::check_abort(int side) const {
  const Side& to = sides[side];
  const Side& from = sides[1 - side];
  std::string where = name() + (side == 0 ? " at the client: " : " at the backend: ");
  require(!to.got_abort && !to.got_reset, where + "ABORT after the end");
  require(from.abort_told, where + "ABORT that the peer never sent");
  require(to.accepted == from.taken,
          where + "ABORT before the bytes ahead of it: " + std::to_string(to.accepted) + " of " +
              std::to_string(from.taken));
  require(!from.finish_told || to.got_fin, where + "ABORT before the FIN ahead of it");
}

// Where one application's reset is all that happened, the other one reads every byte before it.
void Conversation::check_reset_in_order(int side) const {
  const Side& from = sides[side];
  const Side& to = sides[1 - side];
  if (!excuses.only_application_reset() || !from.abort_told || to.abort_told) return;
  // Never sent (open_timeout ends it), or held up for longer than an ABORT may be.
  if (to.handle.slot == kNoSlot) return;
  if (from.ended_cause == Cause::linger_timeout || to.ended_cause == Cause::linger_timeout) return;
  require(to.got_abort && to.accepted == from.taken,
          name() + ": a reset that did not come in order after " + std::to_string(from.taken) +
              " bytes (" + std::to_string(to.accepted) + " arrived)");
}

void Conversation::check_end() const {
  if (!opened) return;
  for (int side = 0; side < 2; ++side) {
    const Side& one = sides[side];
    bool known = one.handle.slot != kNoSlot;
    std::string where = name() + (side == 0 ? " at the client: " : " at the backend: ");
    require(!known || one.ended == 1 || one.process_gone, where + "never ended");
    require(one.ended <= 1, where + "ended twice");
    check_reset_in_order(side);
    if (excuses.any()) continue;
    require(known, where + "never reached");
    std::uint64_t all = one.script.total;
    const Side& other = sides[1 - side];
    require(one.finish_told && one.taken == all, where + "did not send everything");
    require(other.got_fin && other.accepted == all,
            where + "only " + std::to_string(other.accepted) + " of " + std::to_string(all) +
                " bytes arrived, FIN " + (other.got_fin ? "did" : "did not") + " (cause " +
                std::string(to_string(one.ended_cause)) + " / " +
                std::string(to_string(other.ended_cause)) + ")");
  }
}

}  // namespace holdfast::sim
