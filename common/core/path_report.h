// PathReport: what the kernel says of a carrier's way to the peer (TCP_INFO in tcp(7), SIOCOUTQ).
#pragma once

#include <cstdint>

#include "common/base/time.h"

namespace holdfast {

struct PathReport {
  std::uint64_t acked = 0;     // bytes of ours that the peer's kernel has acknowledged
  std::uint64_t queued = 0;    // bytes of ours that it has not, sent or not
  std::uint64_t arrived = 0;   // packets of ours that it has shown to have, double ones too
  std::uint64_t received = 0;  // bytes of the peer's that our kernel has
  Duration received_ago{};     // when the last of them came
  // How long an ack may take: the kernel's smoothed round trip and four times its deviation.
  Duration ack_time{};
  Duration least_round_trip{};
  std::uint32_t segment = 0;  // bytes of payload in a full one
  std::uint64_t lost = 0;     // packets sent again, and packets of the peer's that overtook others
  // How often in a row what was sent again went unacknowledged, each time after twice as long.
  std::uint32_t timeouts = 0;
  // Not the kernel's: the longest loaded round trip of what else shares the path. A question waits
  // in the same queue.
  Duration beside{};
};

}  // namespace holdfast
