#include "tests/sim/kernel/path.h"

#include <algorithm>

namespace holdfast::sim {

void Path::enter(Direction direction, const Line& own) {
  flows_[static_cast<int>(direction)].push_back(&own);
}

void Path::leave(Direction direction, const Line& own) {
  std::erase(flows_[static_cast<int>(direction)], &own);
}

Duration Path::delay() {
  auto jitter = static_cast<std::uint64_t>(shape_.jitter.count());
  return shape_.delay + Duration(static_cast<std::int64_t>(random_.below(jitter)));
}

bool Path::lost(Direction direction, Time at) {
  if (shape_.loss == 0) return false;
  Time& until = burst_until_[static_cast<int>(direction)];
  if (at < until && at >= until - shape_.burst) return true;
  if (random_.below(1000) >= shape_.loss) return false;
  until = at + shape_.burst;
  return true;
}

std::int64_t Path::busy_flows(Direction direction, const Line& but, Time now) const {
  const auto& flows = flows_[static_cast<int>(direction)];
  return std::count_if(flows.begin(), flows.end(),
                       [&](const Line* line) { return line != &but && line->free > now; });
}

Time Path::carry(Direction direction, Line& own, std::size_t bytes, Time now) {
  Time at = now + delay();
  if (shape_.rate == 0) return lost(direction, now) ? kNever : at;
  Line& line = shape_.queue_by_flow ? own : lines_[static_cast<int>(direction)];
  Duration wait = std::max(line.free - now, Duration{});
  auto waiting = static_cast<std::uint64_t>(wait.count()) * shape_.rate / 1000000;
  if (waiting != 0 && waiting + bytes > shape_.queue) return kNever;
  auto takes = static_cast<std::int64_t>(bytes * 1000000 / shape_.rate);
  if (shape_.queue_by_flow) takes *= 1 + busy_flows(direction, own, now);
  line.free = now + wait + Duration(takes);
  if (line.free - now >= kNoticed) {
    queued_until_ = std::max(queued_until_, at + (line.free - now));
  }
  return lost(direction, now) ? kNever : at + (line.free - now);
}

Time Path::carry_again(Direction direction, std::size_t bytes, Time at) {
  auto takes = shape_.rate == 0 ? 0 : static_cast<std::int64_t>(bytes * 1000000 / shape_.rate);
  return lost(direction, at) ? kNever : at + delay() + Duration(takes);
}

}  // namespace holdfast::sim
