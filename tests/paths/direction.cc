#include "tests/paths/direction.h"

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <unordered_map>
#include <utility>

namespace holdfast::paths {
namespace {

constexpr std::size_t kQuantum = 1514;  // of deficit round robin: a full packet a turn

Nanos from_ms(double ms) {
  return Nanos(static_cast<Nanos::rep>(ms * 1e6));
}

}  // namespace

bool set(Shape& shape, const std::string& key, const std::string& value) {
  char* end = nullptr;
  double number = std::strtod(value.c_str(), &end);
  if (value.empty() || *end != '\0' || !(number >= 0 && number <= 1e12)) return false;
  static const std::unordered_map<std::string, std::function<void(Shape&, double)>> kKeys{
      {"rate_kbit", [](Shape& s, double n) { s.bits_s = n * 1000; }},
      {"fair", [](Shape& s, double n) { s.per_flow = n != 0; }},
      {"queue_bytes", [](Shape& s, double n) { s.queue_bytes = static_cast<std::size_t>(n); }},
      {"delay_ms", [](Shape& s, double n) { s.delay = from_ms(n); }},
      {"jitter_ms", [](Shape& s, double n) { s.jitter = from_ms(n); }},
      {"loss", [](Shape& s, double n) { s.loss = std::min(n, 1.0); }},
      {"burst", [](Shape& s, double n) { s.burst = std::max(n, 1.0); }},
      {"reorder", [](Shape& s, double n) { s.reorder = std::min(n, 1.0); }},
      {"reorder_ms", [](Shape& s, double n) { s.reorder_by = from_ms(n); }},
      {"max_packet", [](Shape& s, double n) { s.max_packet = static_cast<std::size_t>(n); }},
      {"blocked", [](Shape& s, double n) { s.blocked = n != 0; }},
  };
  auto found = kKeys.find(key);
  if (found == kKeys.end()) return false;
  found->second(shape, number);
  return true;
}

void Direction::offer(Nanos now, Packet packet) {
  if (shape_.blocked || (shape_.max_packet != 0 && packet.size() > shape_.max_packet)) {
    ++counts_.swallowed;
    return;
  }
  serve(now);
  if (shape_.bits_s == 0 && queued_ == 0) return travel(now, std::move(packet));
  if (queued_ == 0) free_ = std::max(free_, now);
  enqueue(std::move(packet));
  serve(now);
}

void Direction::enqueue(Packet packet) {
  std::uint64_t key = shape_.per_flow ? flow_of(packet) : 0;
  auto [found, fresh] = flows_.try_emplace(key);
  Flow& flow = found->second;
  if (flow.bytes + packet.size() > shape_.queue_bytes && !fresh) {
    ++counts_.queue_full;
    return;
  }
  if (fresh) {
    flow.deficit = kQuantum;
    turns_.push_back(key);
  }
  flow.bytes += packet.size();
  queued_ += packet.size();
  counts_.most_queued = std::max(counts_.most_queued, queued_);
  flow.packets.push_back(std::move(packet));
}

void Direction::serve(Nanos now) {
  while (queued_ != 0 && free_ <= now) {
    Packet packet = dequeue();
    double bits = 8.0 * static_cast<double>(packet.size());
    if (shape_.bits_s != 0) free_ += Nanos(static_cast<Nanos::rep>(bits * 1e9 / shape_.bits_s));
    travel(free_, std::move(packet));
  }
}

Packet Direction::dequeue() {
  for (;;) {
    std::uint64_t key = turns_.front();
    Flow& flow = flows_.at(key);
    std::size_t size = flow.packets.front().size();
    if (flow.deficit < size) {
      flow.deficit += kQuantum;
      turns_.pop_front();
      turns_.push_back(key);
      continue;
    }
    Packet packet = std::move(flow.packets.front());
    flow.packets.pop_front();
    flow.deficit -= size;
    flow.bytes -= size;
    queued_ -= size;
    if (flow.packets.empty()) {
      turns_.pop_front();
      flows_.erase(key);
    }
    return packet;
  }
}

bool Direction::lost() {
  if (shape_.loss <= 0) return false;
  if (shape_.loss >= 1) return true;
  if (shape_.burst <= 1) return chance() < shape_.loss;
  // Two states; the chances of changing between them give the loss and the mean length of a burst.
  double leave = 1 / shape_.burst;
  double enter = leave * shape_.loss / (1 - shape_.loss);
  in_burst_ = in_burst_ ? chance() >= leave : chance() < enter;
  return in_burst_;
}

void Direction::travel(Nanos from, Packet packet) {
  if (lost()) {
    ++counts_.lost;
    return;
  }
  Nanos due = from + shape_.delay;
  if (shape_.jitter.count() != 0) {
    due += Nanos(random_.below(static_cast<std::uint64_t>(shape_.jitter.count()) + 1));
  }
  if (shape_.reorder > 0 && chance() < shape_.reorder) {
    due += shape_.reorder_by;
  } else {
    due = last_due_ = std::max(due, last_due_);
  }
  due_.push_back(Due{due, ++number_, std::move(packet)});
  std::push_heap(due_.begin(), due_.end());
}

std::optional<Packet> Direction::take(Nanos now) {
  serve(now);
  if (due_.empty() || due_.front().at > now) return std::nullopt;
  std::pop_heap(due_.begin(), due_.end());
  Packet packet = std::move(due_.back().packet);
  due_.pop_back();
  ++counts_.packets;
  counts_.bytes += packet.size();
  return packet;
}

std::optional<Nanos> Direction::next() const {
  std::optional<Nanos> when;
  if (!due_.empty()) when = due_.front().at;
  if (queued_ != 0) when = std::min(when.value_or(free_), free_);
  return when;
}

}  // namespace holdfast::paths
