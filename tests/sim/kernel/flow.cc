#include "tests/sim/kernel/flow.h"

#include <algorithm>
#include <cstring>

namespace holdfast::sim {
namespace {

constexpr std::size_t kHeader = 66;         // Ethernet, IPv4, TCP with timestamps
constexpr std::size_t kTrain = 65536;       // segments that a path does not count
constexpr std::size_t kFirstSegments = 10;  // RFC 6928
constexpr Duration kLeastTimeout = milliseconds(200);
constexpr int kMostTries = 10;

}  // namespace

Flow::Flow(Path& path, Direction direction)
    : path_(path),
      direction_(direction),
      send_buffer_(path.shape().send_buffer),
      receive_buffer_(path.shape().receive_buffer),
      edge_(receive_buffer_),
      told_edge_(receive_buffer_),
      window_(kFirstSegments * segment_) {
  path_.enter(direction_, line_);
}

Flow::~Flow() {
  path_.leave(direction_, line_);
}

// --- The sender's kernel -----------------------------------------------------------------------

std::size_t Flow::room() const {
  std::uint64_t held = written_ - acked_;
  if (held >= send_buffer_ || written_ - sent_ >= unsent_most_) return 0;
  return send_buffer_ - static_cast<std::size_t>(held);
}

// sk_stream_is_writeable(), __tcp_stream_memory_free() with wake.
bool Flow::writable() const {
  std::uint64_t held = written_ - acked_;
  return held * 3 <= std::uint64_t{send_buffer_} * 2 && (written_ - sent_) * 2 < unsent_most_;
}

void Flow::write(Bytes bytes) {
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  written_ += bytes.size();
}

void Flow::transmit(Time now) {
  std::size_t largest = path_.counts_segments() ? segment_ : kTrain;
  while (sent_ < written_) {
    std::uint64_t end = std::min({acked_ + window_, edge_, written_});
    if (end <= sent_) return;
    send_segment(std::min<std::size_t>(end - sent_, largest), false, now);
  }
  if (!finish_ || finish_sent_) return;
  finish_sent_ = true;
  send_segment(0, true, now);
}

void Flow::send_segment(std::size_t bytes, bool finish, Time now) {
  sent_ += bytes;
  Time at = kNever;
  if (path_.passes(bytes)) {
    at = path_.carry(direction_, line_, bytes + kHeader, now);
    if (at == kNever) at = retransmitted(bytes, now);
  } else {
    retransmissions_ += 1;
    swallowed_ = true;
  }
  // What comes behind a hole waits for it.
  if (!segments_.empty()) at = std::max(at, segments_.back().at);
  segments_.push_back({sent_, bytes, now, at, finish});
}

Duration Flow::timeout() const {
  return std::max(kLeastTimeout, 2 * round_trip_);
}

// A hole is noticed by what arrives behind it, where enough does; else nobody but a timer sees it.
Time Flow::retransmitted(std::size_t bytes, Time now) {
  bool others = sent_ - acked_ >= 4 * segment_;
  Duration after = others ? std::max(round_trip_, 2 * path_.shape().delay) : timeout();
  threshold_ = std::max(window_ / 2, 2 * segment_);
  window_ = others ? threshold_ : segment_;
  Time again = now;
  for (int tries = 0; tries < kMostTries; ++tries) {
    again += after;
    retransmissions_ += 1;
    Time at = path_.carry_again(direction_, bytes + kHeader, again);
    if (at != kNever) {
      note_hole(now, at);
      return at;
    }
    after = std::max(2 * after, timeout());
  }
  note_hole(now, again + after);
  return again + after;
}

// Holes that follow on each other hold up as one.
void Flow::note_hole(Time from, Time until) {
  if (from > hole_until_) hole_from_ = from;
  hole_until_ = std::max(hole_until_, until);
  if (hole_until_ - hole_from_ >= kNoticed) hole_noticed_until_ = hole_until_;
}

// --- The receiver's kernel ---------------------------------------------------------------------

void Flow::read(MutableBytes into) {
  std::memcpy(into.data(), bytes_.data() + (read_ - base_), into.size());
  read_ += into.size();
  if (read_ == written_) {
    bytes_.clear();
    base_ = read_;
  } else if (read_ - base_ > 65536) {
    bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(read_ - base_));
    base_ = read_;
  }
}

bool Flow::window_opened() const {
  std::uint64_t opened = read_ + receive_buffer_ - told_edge_;
  return opened != 0 && opened >= std::min(receive_buffer_ / 2, 2 * segment_);
}

// --- Time --------------------------------------------------------------------------------------

Time Flow::next_arrival() const {
  if (segments_.empty() || segments_.front().at == kNever) return kNever;
  return std::max(segments_.front().at, held_until_);
}

Time Flow::next_ack() const {
  return acks_.empty() ? kNever : acks_.front().at;
}

bool Flow::arrive(Time now) {
  bool any = false;
  while (next_arrival() <= now) {
    const Segment& segment = segments_.front();
    arrived_ = segment.end;
    finish_arrived_ = finish_arrived_ || segment.finish;
    segments_.pop_front();
    any = true;
  }
  if (any) last_arrival_ = now;
  return any;
}

void Flow::acknowledge(Time now, Flow& back) {
  told_edge_ = read_ + receive_buffer_;
  Time at = path_.carry(opposite(direction_), back.line_, kHeader, now);
  // One that is lost is made good by the next, or by the sender's asking.
  if (at == kNever) at = now + timeout() + path_.shape().delay;
  at = std::max(at, back.held_until_);
  if (!acks_.empty()) at = std::max(at, acks_.back().at);
  acks_.push_back({arrived_, told_edge_, at});
}

bool Flow::take_acks(Time now) {
  std::uint64_t before = acked_;
  std::uint64_t edge = edge_;
  while (!acks_.empty() && acks_.front().at <= now) {
    acked_ = std::max(acked_, acks_.front().arrived);
    edge_ = std::max(edge_, acks_.front().edge);
    acks_.pop_front();
  }
  std::uint64_t acked = acked_ - before;
  if (acked != 0) {
    last_ack_ = now;
    window_ += window_ < threshold_
                   ? static_cast<std::size_t>(acked)
                   : std::max<std::size_t>(segment_ * static_cast<std::size_t>(acked) / window_, 1);
    round_trip_ = std::max(2 * path_.shape().delay, Duration{1});
  }
  return acked != 0 || edge_ != edge;
}

// --- Faults ------------------------------------------------------------------------------------

Time Flow::truncate(std::uint64_t keep, Time now) {
  keep = std::clamp(keep, arrived_, sent_);
  while (!segments_.empty() && (segments_.back().finish || segments_.back().end > keep)) {
    Segment& last = segments_.back();
    std::uint64_t begin = last.end - last.bytes;
    if (last.finish || begin >= keep) {
      segments_.pop_back();
    } else {
      last.end = keep;
      last.bytes = static_cast<std::size_t>(keep - begin);
    }
  }
  bytes_.resize(static_cast<std::size_t>(keep - base_));
  written_ = sent_ = keep;
  finish_ = finish_sent_ = false;
  bool comes = !segments_.empty() && segments_.back().at != kNever;
  return std::max(comes ? segments_.back().at : now, now);
}

void Flow::unstick(Time now) {
  Time at = now + timeout() + path_.shape().delay;
  for (Segment& segment : segments_) {
    if (segment.at == kNever && path_.passes(segment.bytes)) segment.at = at;
  }
}

// How often the timeout has doubled for the first segment that is not acknowledged.
std::uint32_t Flow::backoff(Time now) const {
  if (segments_.empty()) return 0;
  Duration waited = now - segments_.front().sent;
  std::uint32_t count = 0;
  for (Duration after = timeout(); waited >= after && count < 15; after *= 2) {
    waited -= after;
    count += 1;
  }
  return count;
}

}  // namespace holdfast::sim
