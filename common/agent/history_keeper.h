// HistoryKeeper: takes the history's samples on the loop's timer, and adds the history to the
// snapshots of those who ask for it.
//
// With a metrics address samples are taken from the start. Without one nobody is expected to look:
// they begin with the first question for the history, and end when nobody has asked for
// kKeptAfterQuestion.
#pragma once

#include <functional>

#include "common/admin/history.h"
#include "common/admin/snapshot.h"
#include "common/io/loop.h"
#include "common/io/loop_thread.h"
#include "common/io/timer.h"
#include "common/tunnel/link_driver.h"

namespace holdfast {

inline constexpr Duration kKeptAfterQuestion = seconds(10 * 60);

class HistoryKeeper {
 public:
  // `history` outlives it; `pause` stops the agent's other loops, `sample` says what its links come
  // to now; `always`: there is a metrics address, whose change needs a restart.
  HistoryKeeper(Loop& loop, History& history, std::function<LoopsPause()> pause,
                std::function<History::Measurement()> sample, bool always);

  // The history of the last `uptime`, less what lies before `since`.
  void add_to(AgentSnapshot& snapshot, Duration since);

 private:
  void take_sample();
  void arm();

  Loop& loop_;
  History& history_;
  std::function<LoopsPause()> pause_;
  std::function<History::Measurement()> measure_;
  bool always_;
  Time keep_until_{};
  Timer timer_;
};

// Adds what one link comes to. A server's link that has ended counts no more.
void measure(History::Measurement& sum, const LinkDriver& driver);

}  // namespace holdfast
