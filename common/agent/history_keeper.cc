#include "common/agent/history_keeper.h"

#include <algorithm>
#include <utility>

namespace holdfast {

HistoryKeeper::HistoryKeeper(Loop& loop, PagedBackend& agent, History& history,
                             std::function<Rest()> rest, std::function<History::Reading()> read,
                             bool always)
    : loop_(loop),
      agent_(agent),
      history_(history),
      rest_(std::move(rest)),
      read_(std::move(read)),
      always_(always),
      timer_(loop.timers(), [this] { take_sample(); }) {
  Rest resting = rest_();
  arm();
}

Result<AgentSnapshot> HistoryKeeper::snapshot(const SnapshotQuery& query) {
  Result<AgentSnapshot> snapshot = agent_.snapshot(query);
  if (!snapshot || !query.history_since) return snapshot;
  Time now = loop_.now();
  history_.asked(now);
  keep_until_ = now + kKeptAfterQuestion;
  if (now - history_.last_at() >= kBusyInterval) history_.observe(now, read_());
  arm();
  snapshot->history = history_.view(now, now - (snapshot->uptime - *query.history_since));
  return snapshot;
}

void HistoryKeeper::take_sample() {
  Rest resting = rest_();
  history_.observe(loop_.now(), read_());
  arm();
}

void HistoryKeeper::arm() {
  Time now = loop_.now();
  if (!always_ && now >= keep_until_) return timer_.cancel();
  timer_.arm(history_.last_at() + history_.wanted_interval(now));
}

void add_reading(History::Reading& reading, const LinkDriver& driver) {
  const Link& link = driver.link();
  bool client = link.options().role == LinkOptions::Role::client;
  if (!client && link.ended()) return;
  const LinkCounters& counters = link.counters();
  reading.bytes_up += client ? counters.sent_bytes : counters.received_bytes;
  reading.bytes_down += client ? counters.received_bytes : counters.sent_bytes;
  auto streams = static_cast<std::uint32_t>(link.stream_count());
  reading.connections += streams;
  if (link.live()) {
    reading.round_trip = std::max(reading.round_trip, link.liveness().round_trip());
  } else {
    reading.detached += streams;
    reading.links_down += 1;
  }
  reading.links.push_back({link.id(), counters.replayed_bytes});
}

}  // namespace holdfast
