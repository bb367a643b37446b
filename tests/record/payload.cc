#include "tests/record/payload.h"

#include <algorithm>
#include <cstring>

namespace holdfast::record {
namespace {

// Fewer bytes than these are somewhere by chance.
constexpr std::size_t kTelling = 16;

constexpr std::uint64_t kStep = 0x9e3779b97f4a7c15U;

std::uint64_t pattern_word(std::uint64_t key, std::uint64_t index) {
  std::uint64_t z = key + (index + 1) * kStep;
  z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31U);
}

// pattern_word() backwards; the factors are the others' inverses modulo 2^64.
std::uint64_t key_of(std::uint64_t word, std::uint64_t index) {
  std::uint64_t z = word ^ (word >> 31U) ^ (word >> 62U);
  z *= 0x319642b2d24d8ec3U;
  z = z ^ (z >> 27U) ^ (z >> 54U);
  z *= 0x96de1b173f119089U;
  z = z ^ (z >> 30U) ^ (z >> 60U);
  return z - (index + 1) * kStep;
}

std::vector<std::uint8_t> pattern(std::uint64_t key, std::uint64_t offset, std::size_t size) {
  std::vector<std::uint8_t> bytes(size);
  for (std::size_t i = 0; i < size; ++i) {
    std::uint64_t at = offset + i;
    bytes[i] = static_cast<std::uint8_t>(pattern_word(key, at / 8) >> (8 * (at % 8)));
  }
  return bytes;
}

// The key that the first whole word of the bytes tells, if there is one.
std::optional<std::uint64_t> guess_key(std::uint64_t offset, Bytes bytes) {
  std::size_t skip = (8 - offset % 8) % 8;
  if (bytes.size() < skip + 8) return std::nullopt;
  std::uint64_t word = 0;
  std::memcpy(&word, bytes.data() + skip, 8);
  return key_of(word, (offset + skip) / 8);
}

}  // namespace

void Wires::transmitted(std::uint64_t object, CarrierId carrier, std::span<const iovec> buffers) {
  auto [place, fresh] = by_sender_.try_emplace({object, carrier}, wires_.size());
  if (fresh) wires_.push_back({object, carrier, {}});
  auto& bytes = wires_[place->second].bytes;
  for (const iovec& each : buffers) {
    const auto* begin = static_cast<const std::uint8_t*>(each.iov_base);
    bytes.insert(bytes.end(), begin, begin + each.iov_len);
  }
}

bool Wires::lies_at(const Place& place, Bytes bytes) const {
  const auto& from = wires_[place.wire].bytes;
  return place.at <= from.size() && bytes.size() <= from.size() - place.at &&
         std::memcmp(from.data() + place.at, bytes.data(), bytes.size()) == 0;
}

std::optional<Wires::Place> Wires::find(std::uint64_t object, CarrierId carrier,
                                        Bytes bytes) const {
  for (bool same_carrier : {true, false}) {
    if (!same_carrier && bytes.size() < kTelling) break;
    for (std::size_t i = wires_.size(); i-- > 0;) {
      const Wire& wire = wires_[i];
      if (wire.object == object || (wire.carrier == carrier) != same_carrier) continue;
      auto found = std::search(wire.bytes.begin(), wire.bytes.end(), bytes.begin(), bytes.end());
      if (found == wire.bytes.end()) continue;
      return Place{i, static_cast<std::size_t>(found - wire.bytes.begin())};
    }
  }
  return std::nullopt;
}

void Wires::carrier_bytes(Tape& tape, std::uint64_t object, CarrierId carrier,
                          std::vector<std::uint8_t>& bytes) {
  auto next = next_.find({object, carrier});
  Source source = Source::literal;
  Place place;
  if (tape.writing()) {
    if (next != next_.end() && lies_at(next->second, bytes)) {
      source = Source::goes_on;
    } else if (auto found = find(object, carrier, bytes)) {
      source = Source::elsewhere;
      place = *found;
    }
  }
  tape.in(source);
  if (source == Source::literal) return tape.bytes(bytes);
  if (source == Source::elsewhere) {
    tape.in(place.wire);
    tape.in(place.at);
    next = next_.insert_or_assign({object, carrier}, place).first;
  }
  std::size_t size = bytes.size();
  tape.in(size);
  if (next == next_.end() || next->second.wire >= wires_.size()) {
    return tape.fail("bytes of a carrier that nobody transmitted");
  }
  Place& at = next->second;
  const auto& from = wires_[at.wire].bytes;
  if (at.at > from.size() || size > from.size() - at.at) {
    return tape.fail("a carrier brings more bytes than were transmitted");
  }
  bytes.assign(from.begin() + static_cast<std::ptrdiff_t>(at.at),
               from.begin() + static_cast<std::ptrdiff_t>(at.at + size));
  at.at += size;
}

void Payload::forget(std::uint64_t object) {
  std::erase_if(streams_, [&](const auto& each) { return each.first.first == object; });
}

void Payload::commit(Tape& tape, std::uint64_t object, StreamHandle handle, std::size_t size,
                     std::span<const iovec> buffers) {
  if (size == 0) return;
  Stream& stream = streams_[{object, handle.id}];
  Source source = Source::literal;
  std::vector<std::uint8_t> bytes;
  if (tape.writing()) {
    for (const iovec& each : buffers) {
      std::size_t take = std::min(each.iov_len, size - bytes.size());
      const auto* begin = static_cast<const std::uint8_t*>(each.iov_base);
      bytes.insert(bytes.end(), begin, begin + take);
    }
    std::optional<std::uint64_t> key = guess_key(stream.offset, bytes);
    if (stream.key && pattern(*stream.key, stream.offset, size) == bytes) {
      source = Source::pattern;
    } else if (key && pattern(*key, stream.offset, size) == bytes) {
      source = Source::new_pattern;
      stream.key = key;
    }
  }
  tape.in(source);
  if (source == Source::new_pattern) {
    std::uint64_t key = stream.key.value_or(0);
    tape.in(key);
    stream.key = key;
  }
  if (source == Source::literal) {
    tape.bytes(bytes);
  } else if (!tape.writing()) {
    bytes = pattern(stream.key.value_or(0), stream.offset, size);
  }
  stream.offset += size;
  if (tape.writing()) return;
  std::size_t done = 0;
  for (const iovec& each : buffers) {
    std::size_t take = std::min(each.iov_len, bytes.size() - done);
    if (take != 0) std::memcpy(each.iov_base, bytes.data() + done, take);
    done += take;
  }
  if (done != size) tape.fail("the application has more bytes than there is room for now");
}

}  // namespace holdfast::record
