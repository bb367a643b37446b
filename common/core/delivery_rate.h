// DeliveryRate: how fast a path takes our bytes, and so how many may wait before it.
//
// What lies in the kernel and in a TLS record is sent in order, whatever is urgent: on a path of
// 2 Mbit/s the 256 KiB that a fast one needs are a second. So some milliseconds' worth may wait.
//
// The rate is our own: what the peer's kernel acknowledged over some time while more waited at both
// ends of it. The kernel's tcpi_delivery_rate says hundreds of megabytes a second of a modem after
// a burst, and stays there.
#pragma once

#include <cstddef>

#include "common/core/path_report.h"

namespace holdfast {

class DeliveryRate {
 public:
  void report(Time now, const PathReport& path);
  // Bytes that may wait: at least a segment, at most `most`.
  std::size_t may_wait(std::size_t most) const;
  // A path so short that its rate hardly matters, as far as is known.
  bool quick() const { return quick_; }
  // What so many bytes take; 0 before the rate is known.
  Duration time_of(std::size_t bytes) const;
  // Bytes a second; 0 before it is known.
  std::uint64_t bytes_s() const { return bytes_s_; }

 private:
  std::uint64_t bytes_s_ = 0;
  std::uint64_t segment_ = 0;
  bool quick_ = false;
  bool rising_ = false;
  bool backlog_ = false;
  Time since_{};
  std::uint64_t acked_ = 0;  // at `since_`
};

}  // namespace holdfast
