#include "tests/record/tape.h"

#include <cinttypes>
#include <cstdio>
#include <cstring>

namespace holdfast::record {
namespace {

constexpr int kMostUnchecked = 16;
constexpr std::uint64_t kMostBytes = 64 * kMiB;

std::uint64_t stir(std::uint64_t digest, std::uint64_t value) {
  std::uint64_t z = (digest ^ value) * 0x9e3779b97f4a7c15U;
  return (z ^ (z >> 29U)) + 0x2545f4914f6cdd1dU;
}

}  // namespace

const char* to_string(Call call) {
  static constexpr std::array<const char*, kCalls> kNames = {"make_link",
                                                             "destroy_link",
                                                             "make_registry",
                                                             "destroy_registry",
                                                             "hello",
                                                             "poll",
                                                             "carrier_gone",
                                                             "take_touched",
                                                             "drain_registry",
                                                             "remove",
                                                             "carrier_up",
                                                             "accept",
                                                             "carrier_bytes",
                                                             "carrier_down",
                                                             "carrier_silent",
                                                             "doubt",
                                                             "open",
                                                             "opened",
                                                             "prepare",
                                                             "commit",
                                                             "finish",
                                                             "abort",
                                                             "reset",
                                                             "queued",
                                                             "delivered",
                                                             "fin_delivered",
                                                             "abort_delivered",
                                                             "goodbye",
                                                             "drain",
                                                             "tell_down",
                                                             "end",
                                                             "reconnect",
                                                             "reconfigure",
                                                             "reset_unoffered",
                                                             "renew",
                                                             "poll_effect",
                                                             "poll_transmit",
                                                             "written",
                                                             "timeout",
                                                             "(about calls)",
                                                             "path_report",
                                                             "process_gone",
                                                             "vanish",
                                                             "tell_origin"};
  auto index = static_cast<std::size_t>(call);
  return index < kNames.size() ? kNames[index] : "?";
}

std::string Divergence::describe() const {
  char text[160];
  std::snprintf(text, sizeof text,
                "seed %" PRIu64 ", object %" PRIu64 ", step %" PRIu64 " at %.6f s, %s: ", seed,
                object, step, static_cast<double>(at.time_since_epoch().count()) / 1e6,
                to_string(call));
  return text + what;
}

bool Tape::begin(Call& call, std::uint64_t& object, Time& now) {
  if (writing()) {
    record_.steps += 1;
    record_.columns[kCallColumn].push_back(static_cast<std::uint8_t>(call));
    write(kObjectColumn, object);
    // Time never goes back within a seed.
    write(kTimeColumn, static_cast<std::uint64_t>((now - now_).count()));
  } else {
    if (step_ == record_.steps || !difference_.empty()) return false;
    std::uint8_t code = read_byte(kCallColumn);
    if (code >= kCalls || code == static_cast<std::uint8_t>(Call::about_calls)) {
      fail("no call has this number: the record is of another format");
      return false;
    }
    call = static_cast<Call>(code);
    object = read(kObjectColumn);
    now = now_ + Duration(static_cast<std::int64_t>(read(kTimeColumn)));
  }
  if (print_ != nullptr) {
    std::fprintf(print_, "\n%" PRIu64 " %.6f %" PRIu64 " %s", step_ + 1,
                 static_cast<double>(now.time_since_epoch().count()) / 1e6, object,
                 to_string(call));
  }
  step_ += 1;
  call_ = call;
  now_ = now;
  place_ = 0;
  return difference_.empty();
}

int Tape::place() {
  int column = static_cast<int>(call_) * kPlaces + place_;
  if (place_ + 1 < kPlaces) place_ += 1;
  return column;
}

void Tape::write(int column, std::uint64_t value) {
  auto& to = record_.columns[static_cast<std::size_t>(column)];
  while (value >= 0x80) {
    to.push_back(static_cast<std::uint8_t>(value | 0x80U));
    value >>= 7U;
  }
  to.push_back(static_cast<std::uint8_t>(value));
}

std::uint8_t Tape::read_byte(int column) {
  auto index = static_cast<std::size_t>(column);
  const auto& from = record_.columns[index];
  if (read_[index] == from.size()) {
    fail("the record ends here");
    return 0;
  }
  return from[read_[index]++];
}

std::uint64_t Tape::read(int column) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    std::uint8_t byte = read_byte(column);
    value |= static_cast<std::uint64_t>(byte & 0x7fU) << shift;
    if ((byte & 0x80U) == 0) break;
  }
  return value;
}

void Tape::number(std::uint64_t& value) {
  if (writing()) {
    write(place(), value);
  } else {
    value = read(place());
    if (print_ != nullptr) std::fprintf(print_, " %" PRIu64, value);
  }
}

void Tape::bytes(std::vector<std::uint8_t>& value) {
  std::uint64_t size = value.size();
  number(size);
  auto column = static_cast<std::size_t>(place());
  auto& bytes = record_.columns[column];
  if (writing()) {
    bytes.insert(bytes.end(), value.begin(), value.end());
    return;
  }
  if (size > kMostBytes || size > bytes.size() - read_[column]) return fail("the record ends here");
  auto from = bytes.begin() + static_cast<std::ptrdiff_t>(read_[column]);
  value.assign(from, from + static_cast<std::ptrdiff_t>(size));
  read_[column] += size;
}

void Tape::out(const char* what, std::uint64_t value) {
  if (writing()) return write(place(), value);
  std::uint64_t recorded = read(place());
  if (print_ != nullptr) std::fprintf(print_, " %s=%" PRIu64, what, value);
  if (recorded == value || !difference_.empty()) return;
  difference_ = std::string(what) + ": recorded " + std::to_string(recorded) + ", now " +
                std::to_string(value);
}

void Tape::mix(const char* what, std::uint64_t value) {
  digest_ = stir(digest_, value);
  if (writing()) return;
  mixed_.push_back({step_, what, value});
  if (print_ != nullptr) std::fprintf(print_, " %s=%" PRIu64, what, value);
}

void Tape::mix(const char* what, Bytes bytes) {
  std::uint64_t sum = bytes.size();
  while (bytes.size() >= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), 8);
    sum = stir(sum, word);
    bytes = bytes.subspan(8);
  }
  for (std::uint8_t byte : bytes) sum = stir(sum, byte);
  mix(what, sum);
}

void Tape::check_later() {
  unchecked_ += 1;
  if (unchecked_ == kMostUnchecked) check();
}

void Tape::check() {
  unchecked_ = 0;
  auto digest = static_cast<std::uint8_t>(digest_ >> 32U);
  if (writing()) {
    record_.columns[kCheckColumn].push_back(digest);
    return;
  }
  std::uint8_t recorded = read_byte(kCheckColumn);
  if (recorded != digest && difference_.empty()) {
    difference_ = "the digest differs; it is of";
    std::uint64_t step = step_;
    for (const Mixed& mixed : mixed_) {
      if (mixed.step != step) difference_ += "\n  step " + std::to_string(mixed.step) + ":";
      step = mixed.step;
      difference_ += std::string(" ") + mixed.what + "=" + std::to_string(mixed.value);
    }
  }
  mixed_.clear();
}

void Tape::fail(std::string what) {
  if (difference_.empty()) difference_ = std::move(what);
}

Divergence Tape::divergence(std::uint64_t object, Time now) const {
  return {record_.seed, step_, object, now, call_, difference_};
}

void fields(Tape& tape, std::string& value) {
  std::vector<std::uint8_t> bytes(value.begin(), value.end());
  tape.bytes(bytes);
  value.assign(bytes.begin(), bytes.end());
}

void fields(Tape& tape, LinkId& value) {
  std::vector<std::uint8_t> bytes(value.bytes.begin(), value.bytes.end());
  tape.bytes(bytes);
  if (bytes.size() == value.bytes.size())
    std::copy(bytes.begin(), bytes.end(), value.bytes.begin());
}

}  // namespace holdfast::record
