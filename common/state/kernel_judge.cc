#include "common/state/kernel_judge.h"

#include <sys/socket.h>

#include "common/state/inventory.h"
#include "common/state/socket_counters.h"

namespace holdfast {
namespace {

using Life = SocketPosition::Life;

bool is_unix(int descriptor) {
  int family = 0;
  socklen_t size = sizeof family;
  return getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &family, &size) == 0 && family == AF_UNIX;
}

// Its count begins anew now and then, outside of reads: then it says nothing, and the record all.
// Before it began nothing was read.
SocketPosition unix_position(const StreamRecord& record, Intent::Operation under_way) {
  std::uint64_t committed = record.send.committed();
  std::optional<std::uint64_t> counted = read_of_unix(record.descriptor());
  bool reads = under_way == Intent::Operation::read;
  if (!counted) return {0, std::nullopt};
  if (*counted == 0 && !reads) return {committed, std::nullopt};
  return {*counted - record.read_before, std::nullopt};
}

std::optional<SocketPosition> position_when_over(const StreamRecord& record, std::uint64_t read,
                                                 Intent::Operation under_way) {
  std::uint64_t committed = record.send.committed();
  std::uint64_t more = read - committed;
  if (more == 0) return SocketPosition{committed, std::nullopt, Life::reset};
  if (more != 1 || under_way == Intent::Operation::read) return std::nullopt;
  Life life = record.receive.fin_delivered() ? Life::stands : Life::reset_after_fin;
  return SocketPosition{committed, std::nullopt, life};
}

}  // namespace

std::optional<SocketPosition> KernelJudge::look(const StreamRecord& record,
                                                Intent::Operation under_way) {
  int descriptor = record.descriptor();
  if (doubtful_.count(descriptor) != 0 || !is_stream_socket(descriptor)) return std::nullopt;
  if (is_unix(descriptor)) return unix_position(record, under_way);
  std::optional<SocketCounters> counters = read_counters(descriptor);
  if (!counters) return std::nullopt;
  std::uint64_t read = counters->read - record.read_before;
  if (counters->closed) return position_when_over(record, read, under_way);
  // Of one that has failed the rest is thrown away, and counts as delivered.
  if (record.latched) return SocketPosition{read, std::nullopt};
  return SocketPosition{read, counters->written - record.written_before};
}

}  // namespace holdfast
