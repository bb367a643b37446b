// Tape: one seed's record, written once and read as often as one likes.
//
// The same code describes a call for both: in() writes an input, or reads it back; out() writes an
// output, or compares it with the one recorded. What would cost too much to keep is mixed into a
// running digest, of which check() keeps (or compares) one byte: what differs is seen there with
// 255 chances of 256, and else at one of the next checks, for the digest goes on from what it was.
// Where calls are many and small, check_later() leaves it to the next check, or the 16th call.
//
// Values lie in columns, one for each place in each call, so that like lies beside like.
#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <string>
#include <type_traits>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/ids.h"
#include "common/base/time.h"
#include "common/core/effects.h"
#include "tests/record/calls.h"

namespace holdfast::record {

// A call has at most this many places; what comes behind shares the last one.
inline constexpr int kPlaces = 24;
inline constexpr int kColumns = kCalls * kPlaces;

// The first of those that no single call has: which call, of what object, when, and the check.
inline constexpr int kCallColumn = static_cast<int>(Call::about_calls) * kPlaces;
inline constexpr int kObjectColumn = kCallColumn + 1;
inline constexpr int kTimeColumn = kCallColumn + 2;
inline constexpr int kCheckColumn = kCallColumn + 3;

struct SeedRecord {
  std::uint64_t seed = 0;
  std::uint64_t steps = 0;
  std::array<std::vector<std::uint8_t>, kColumns> columns;
};

// Where a replay went another way.
struct Divergence {
  std::uint64_t seed = 0;
  std::uint64_t step = 0;  // from 1 on
  std::uint64_t object = 0;
  Time at{};
  Call call{};
  std::string what;
  std::string describe() const;
};

class Tape {
 public:
  enum class Mode : std::uint8_t { write, read };

  Tape(Mode mode, SeedRecord& record) : mode_(mode), record_(record) {}
  bool writing() const { return mode_ == Mode::write; }

  // The next call; reading, false at the end.
  bool begin(Call& call, std::uint64_t& object, Time& now);
  Call call() const { return call_; }
  std::uint64_t step() const { return step_; }

  void number(std::uint64_t& value);
  void bytes(std::vector<std::uint8_t>& value);
  template <typename T>
  void in(T& value) {
    if constexpr (std::is_enum_v<T> || std::is_integral_v<T>) {
      auto plain = static_cast<std::uint64_t>(value);
      number(plain);
      value = static_cast<T>(plain);
    } else {
      fields(*this, value);
    }
  }

  void out(const char* what, std::uint64_t value);
  void mix(const char* what, std::uint64_t value);
  void mix(const char* what, Bytes bytes);
  void check();
  void check_later();

  // Reading: what did not agree, or "". Nothing after it means anything.
  const std::string& difference() const { return difference_; }
  // Reading: every call and value goes there, too.
  void print(std::FILE* to) { print_ = to; }
  // A record that cannot be read on, or what a replay cannot do.
  void fail(std::string what);
  Divergence divergence(std::uint64_t object, Time now) const;

 private:
  struct Mixed {
    std::uint64_t step;
    const char* what;
    std::uint64_t value;
  };
  int place();
  void write(int column, std::uint64_t value);
  std::uint64_t read(int column);
  std::uint8_t read_byte(int column);

  Mode mode_;
  SeedRecord& record_;
  std::array<std::size_t, kColumns> read_{};
  Call call_{};
  int place_ = 0;
  std::uint64_t step_ = 0;
  Time now_{};
  std::uint64_t digest_ = 0;
  std::vector<Mixed> mixed_;  // since the last check; reading
  int unchecked_ = 0;         // calls
  std::string difference_;
  std::FILE* print_ = nullptr;
};

// --- Values that are more than a number -------------------------------------------------------

inline void fields(Tape& tape, Duration& value) {
  // One more, so that "never" is the short 0.
  auto count = static_cast<std::uint64_t>(value.count());
  std::uint64_t shifted = value == Duration::max() ? 0 : count + 1;
  tape.number(shifted);
  value = shifted == 0 ? Duration::max() : Duration(static_cast<std::int64_t>(shifted - 1));
}
inline void fields(Tape& tape, CarrierId& value) {
  tape.in(value.value);
}
inline void fields(Tape& tape, StreamId& value) {
  tape.in(value.value);
}
inline void fields(Tape& tape, StreamHandle& value) {
  tape.in(value.slot);
  tape.in(value.id);
}
void fields(Tape& tape, std::string& value);
void fields(Tape& tape, LinkId& value);
template <typename T>
void fields(Tape& tape, std::vector<T>& values) {
  std::uint64_t size = values.size();
  tape.number(size);
  if (!tape.difference().empty() || size > 1U << 20U) return;
  values.resize(size);
  for (T& value : values) tape.in(value);
}

}  // namespace holdfast::record
