// HistoryKeeper: takes the history's samples on the loop's timer, and adds the history to the
// snapshots of those who ask for it.
//
// With a metrics address samples are taken from the start. Without one nobody is expected to look:
// they begin with the first question for the history, and end when nobody has asked for
// kKeptAfterQuestion.
#pragma once

#include <functional>

#include "common/admin/history.h"
#include "common/admin/loop_backend.h"
#include "common/io/loop.h"
#include "common/io/loop_thread.h"
#include "common/io/timer.h"
#include "common/tunnel/link_driver.h"

namespace holdfast {

inline constexpr Duration kKeptAfterQuestion = seconds(10 * 60);

class HistoryKeeper final : public PagedBackend {
 public:
  // `agent` and `history` outlive it; `rest` stops the agent's other loops, `read` says what its
  // links come to now; `always`: there is a metrics address, whose change needs a restart.
  HistoryKeeper(Loop& loop, PagedBackend& agent, History& history, std::function<Rest()> rest,
                std::function<History::Reading()> read, bool always);

  Result<AgentSnapshot> snapshot(const SnapshotQuery& query) override;
  ConnectionPage connections(const ConnectionCursor& from) override {
    return agent_.connections(from);
  }
  Result<std::optional<ConnectionSnapshot>> connection(const std::string& id) override {
    return agent_.connection(id);
  }
  CommandResult command(const Command& command) override { return agent_.command(command); }
  ReloadReport reload(const ReloadRequest& request) override { return agent_.reload(request); }

 private:
  void take_sample();
  void arm();

  Loop& loop_;
  PagedBackend& agent_;
  History& history_;
  std::function<Rest()> rest_;
  std::function<History::Reading()> read_;
  bool always_;
  Time keep_until_{};
  Timer timer_;
};

// Adds what one link comes to. A server's link that has ended counts no more.
void add_reading(History::Reading& reading, const LinkDriver& driver);

}  // namespace holdfast
