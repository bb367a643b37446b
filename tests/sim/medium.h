// The medium: carriers as two byte pipes, each with latency, bandwidth and a bounded buffer.
//
// A pipe never reorders or drops single bytes (TCP does not); it can hold everything back, and it
// can end at any offset: what was written after that offset is lost.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/ids.h"
#include "common/base/random.h"
#include "common/base/time.h"

namespace holdfast::sim {

class Pipe {
 public:
  enum class End : std::uint8_t { none, eof, reset };
  struct Shape {
    Duration latency{};
    std::uint64_t bandwidth = 0;  // bytes a second; 0: without end
    std::uint64_t capacity = 65536;
  };

  explicit Pipe(const Shape& shape) : shape_(shape) {}

  // The writer's kernel takes 0..size bytes.
  std::size_t write(Time now, Bytes bytes);
  // What the reader's kernel has, at most `most` bytes, valid until the next call.
  Bytes readable(Time now, std::size_t most) const;
  void consume(std::size_t size);
  // How it ended, once everything before the end was read.
  End ended(Time now) const;

  // Ends it where the `keep`th byte (counted from the first) was written, at the latest at what
  // is written now; the reader learns it at `at` or later.
  void end(End end, std::uint64_t keep, Time at);
  // Nothing arrives before `until`.
  void hold(Time until) { held_until_ = std::max(held_until_, until); }
  void release() { held_until_ = Time{}; }
  Time held_until() const { return held_until_; }
  // The writer closed abortively or the reader is gone: bytes are taken and thrown away.
  void discard() { discarding_ = true; }

  // When something new may be seen by the reader; kNever: not before somebody acts.
  Time next_arrival() const;
  std::uint64_t written() const { return written_; }
  std::uint64_t read() const { return read_; }
  // Bytes that the reader's kernel has by now, read ones included.
  std::uint64_t arrived(Time now) const;
  bool full() const { return written_ - read_ >= shape_.capacity; }
  bool closed() const { return end_ != End::none; }
  // The end that reads this one may know that its carrier was reset, whatever is still unread.
  bool reset_arrived(Time now) const {
    return end_ == End::reset && now >= end_at_ && now >= held_until_;
  }

 private:
  struct Arrival {
    std::uint64_t offset;  // after its last byte
    Time at;
  };

  Shape shape_;
  std::vector<std::uint8_t> bytes_;  // [base_, written_), read ones are dropped lazily
  std::uint64_t base_ = 0;
  std::uint64_t written_ = 0;
  std::uint64_t read_ = 0;
  std::deque<Arrival> arrivals_;
  Time line_free_{};  // when the last byte has left the writer
  Time held_until_{};
  End end_ = End::none;
  Time end_at_{};
  bool discarding_ = false;
};

class TlsEnd;

struct Carrier {
  Carrier(CarrierId carrier, std::uint32_t client_index, const Pipe::Shape& shape);
  ~Carrier();

  CarrierId id;
  std::uint32_t client;
  bool ghost = false;  // its client end is nobody: a replayed HELLO
  Pipe to_server;
  Pipe to_client;
  bool client_open = true;
  bool server_open = true;
  // Cut behind so many bytes of that direction; UINT64_MAX: never.
  std::uint64_t cut_to_server = UINT64_MAX;
  std::uint64_t cut_to_client = UINT64_MAX;
  Time look[2] = {kNever, kNever};  // when each end looks at it next
  std::vector<std::uint8_t> hello;  // what the client said before it heard anything
  std::unique_ptr<TlsEnd> ends[2];  // encrypted: 0 the client's (a ghost has none), 1 the server's
};

}  // namespace holdfast::sim
