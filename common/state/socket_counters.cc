#include "common/state/socket_counters.h"

#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstddef>

namespace holdfast {
namespace {

// Linux's net/tcp_states.h.
enum State : std::uint8_t {
  kEstablished = 1,
  kFinWait1 = 4,
  kFinWait2 = 5,
  kCloseWait = 8,
  kLastAck = 9,
  kClosing = 11,
};

constexpr int kMostLooks = 100;

bool look(int descriptor, tcp_info& info) {
  socklen_t size = sizeof info;
  return getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
         size >= offsetof(tcp_info, tcpi_bytes_received) + sizeof info.tcpi_bytes_received;
}

bool same(const tcp_info& one, const tcp_info& other) {
  return one.tcpi_state == other.tcpi_state &&
         one.tcpi_bytes_received == other.tcpi_bytes_received &&
         one.tcpi_bytes_acked == other.tcpi_bytes_acked;
}

SocketCounters counters_of(const tcp_info& info, std::uint64_t unread, std::uint64_t unsent) {
  SocketCounters counters;
  switch (info.tcpi_state) {
    case kEstablished:
      break;
    case kCloseWait:
      counters.fin_came = true;
      break;
    case kFinWait1:
    case kFinWait2:
      counters.fin_out = true;
      break;
    case kLastAck:
    case kClosing:
      counters.fin_came = counters.fin_out = true;
      break;
    default:
      counters.closed = true;
  }
  counters.read = info.tcpi_bytes_received - unread - (counters.fin_came ? 1 : 0);
  counters.written = info.tcpi_bytes_acked + unsent - (counters.fin_out ? 1 : 0);
  return counters;
}

}  // namespace

// Looked at until nothing has come and gone between the looks.
std::optional<SocketCounters> read_counters(int descriptor) {
  for (int i = 0; i < kMostLooks; ++i) {
    tcp_info before{}, after{};
    int unread = 0, unsent = 0;
    if (!look(descriptor, before) || ioctl(descriptor, SIOCINQ, &unread) != 0 ||
        ioctl(descriptor, SIOCOUTQ, &unsent) != 0 || !look(descriptor, after)) {
      return std::nullopt;
    }
    if (!same(before, after)) continue;
    return counters_of(after, static_cast<std::uint64_t>(unread),
                       static_cast<std::uint64_t>(unsent));
  }
  return std::nullopt;
}

bool count_unix(int descriptor) {
  int from = kUnixCount;
  return setsockopt(descriptor, SOL_SOCKET, SO_PEEK_OFF, &from, sizeof from) == 0;
}

// What is read moves where a peek would begin.
std::optional<std::uint64_t> read_of_unix(int descriptor) {
  int from = -1;
  socklen_t size = sizeof from;
  if (getsockopt(descriptor, SOL_SOCKET, SO_PEEK_OFF, &from, &size) != 0 || from < 0) {
    return std::nullopt;
  }
  return static_cast<std::uint64_t>(kUnixCount - from);
}

}  // namespace holdfast
