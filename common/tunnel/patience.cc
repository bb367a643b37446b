#include "common/tunnel/patience.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>

#include "common/io/socket.h"

namespace holdfast {
namespace {

// MAX_TCP_KEEPIDLE, MAX_TCP_KEEPINTVL, MAX_TCP_KEEPCNT of the kernel.
constexpr std::int64_t kMostSeconds = 32767;
constexpr std::int64_t kMostQuestions = 127;
// A single question may just be on its way.
constexpr unsigned kUnanswered = 2;

void set(int descriptor, int name, int value) {
  (void)setsockopt(descriptor, IPPROTO_TCP, name, &value, sizeof value);
}

}  // namespace

KeepaliveTimes keepalive_times(Duration within) {
  std::int64_t whole = (within + seconds(1) - Duration(1)) / seconds(1);
  std::int64_t idle = std::clamp<std::int64_t>(whole / 2, 1, kMostSeconds);
  std::int64_t interval = std::clamp<std::int64_t>(whole / 10, 1, kMostSeconds);
  std::int64_t count =
      std::clamp<std::int64_t>((whole - idle + interval - 1) / interval, 1, kMostQuestions);
  return {static_cast<int>(idle), static_cast<int>(interval), static_cast<int>(count)};
}

void set_keepalive(int descriptor, Duration within) {
  KeepaliveTimes times = keepalive_times(within);
  set(descriptor, TCP_KEEPIDLE, times.idle_s);
  set(descriptor, TCP_KEEPINTVL, times.interval_s);
  set(descriptor, TCP_KEEPCNT, times.count);
}

bool has_vanished(int descriptor, Duration within) {
  if (unsent_bytes(descriptor) == 0) return false;
  tcp_info info{};
  socklen_t size = sizeof info;
  if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return false;
  // Sent again and again, or, where the other side has no room, asked again and again.
  bool unanswered = info.tcpi_retransmits >= kUnanswered || info.tcpi_probes >= kUnanswered;
  return unanswered && milliseconds(info.tcpi_last_ack_recv) >= within;
}

}  // namespace holdfast
