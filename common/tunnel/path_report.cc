// A file of its own: <linux/tcp.h> has the whole tcp_info, and does not bear <netinet/tcp.h>.
#include "common/tunnel/path_report.h"

#include <linux/mptcp.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace holdfast {

std::optional<PathReport> read_path(int descriptor) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return std::nullopt;
  // Linux 4.18 and later say all of it.
  if (size < offsetof(tcp_info, tcpi_dsack_dups) + sizeof info.tcpi_dsack_dups) return std::nullopt;
  int queued = 0;
  if (ioctl(descriptor, SIOCOUTQ, &queued) != 0 || queued < 0) return std::nullopt;
  PathReport report;
  report.acked = info.tcpi_bytes_acked;
  report.queued = static_cast<std::uint64_t>(queued);
  report.arrived = std::uint64_t{info.tcpi_delivered} + info.tcpi_dsack_dups;
  report.received = info.tcpi_bytes_received;
  report.received_ago = milliseconds(info.tcpi_last_data_recv);
  report.ack_time = microseconds(std::int64_t{info.tcpi_rtt} + 4 * std::int64_t{info.tcpi_rttvar});
  report.least_round_trip = microseconds(info.tcpi_min_rtt);
  report.segment = info.tcpi_snd_mss;
  report.lost = info.tcpi_total_retrans;
  if (size >= offsetof(tcp_info, tcpi_rcv_ooopack) + sizeof info.tcpi_rcv_ooopack) {
    report.lost += info.tcpi_rcv_ooopack;
  }
  report.timeouts = info.tcpi_retransmits;
  return report;
}

std::optional<Multipath> read_multipath(int descriptor) {
  constexpr int kSolMptcp = 284;  // SOL_MPTCP of <linux/socket.h>, which programs cannot include
  mptcp_info info{};
  socklen_t size = sizeof info;
  if (getsockopt(descriptor, kSolMptcp, MPTCP_INFO, &info, &size) != 0) return std::nullopt;
  Multipath path;
  path.acked = info.mptcpi_snd_una;
  path.queued = info.mptcpi_write_seq - info.mptcpi_snd_una;
  path.received = info.mptcpi_rcv_nxt;
  path.subflows = 1U + info.mptcpi_subflows;
  return path;
}

}  // namespace holdfast
