#include "common/agent/history_keeper.h"

#include <algorithm>
#include <utility>

namespace holdfast {

HistoryKeeper::HistoryKeeper(Loop& loop, History& history, std::function<LoopsPause()> pause,
                             std::function<History::Measurement()> sample, bool always)
    : loop_(loop),
      history_(history),
      pause_(std::move(pause)),
      measure_(std::move(sample)),
      always_(always),
      timer_(loop.timers(), [this] { take_sample(); }) {
  LoopsPause paused = pause_();
  arm();
}

void HistoryKeeper::add_to(AgentSnapshot& snapshot, Duration since) {
  Time now = loop_.now();
  history_.asked(now);
  keep_until_ = now + kKeptAfterQuestion;
  if (now - history_.last_at() >= kBusyInterval) history_.observe(now, measure_());
  arm();
  snapshot.history = history_.view(now, now - (snapshot.uptime - since));
}

void HistoryKeeper::take_sample() {
  LoopsPause paused = pause_();
  history_.observe(loop_.now(), measure_());
  arm();
}

void HistoryKeeper::arm() {
  Time now = loop_.now();
  if (!always_ && now >= keep_until_) return timer_.cancel();
  timer_.arm(history_.last_at() + history_.wanted_interval(now));
}

void measure(History::Measurement& sum, const LinkDriver& driver) {
  const Link& link = driver.link();
  bool client = link.options().role == LinkOptions::Role::client;
  if (!client && link.ended()) return;
  const LinkCounters& counters = link.counters();
  sum.bytes_up += client ? counters.sent_bytes : counters.received_bytes;
  sum.bytes_down += client ? counters.received_bytes : counters.sent_bytes;
  auto streams = static_cast<std::uint32_t>(link.stream_count());
  sum.connections += streams;
  if (link.live()) {
    sum.round_trip = std::max(sum.round_trip, link.liveness().round_trip());
  } else {
    sum.detached += streams;
    sum.links_down += 1;
  }
  sum.links.push_back({link.id(), counters.replayed_bytes});
}

}  // namespace holdfast
