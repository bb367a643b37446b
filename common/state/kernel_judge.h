// KernelJudge: where streams' sockets stand, by their kernels' counters (socket_counters.h).
//
// A connection that is over counts a FIN that came among what was read, and nothing tells whether
// one has: without a read under way the record does, which is exact then.
//
//   over, and of what was read   0 bytes more than the record says: it was reset
//                                1 byte more: a FIN came, and our own end is out: all in order
//                                             a FIN came, and then a reset
//   the same with a read under way: 0 bytes more as above; else it cannot be told
#pragma once

#include <set>

#include "common/core/recovery.h"

namespace holdfast {

class KernelJudge final : public SocketJudge {
 public:
  // Descriptors that several records name are nobody's.
  explicit KernelJudge(std::set<int> doubtful) : doubtful_(std::move(doubtful)) {}

  std::optional<SocketPosition> look(const StreamRecord& record,
                                     Intent::Operation under_way) override;

 private:
  std::set<int> doubtful_;
};

}  // namespace holdfast
