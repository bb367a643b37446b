#include "tests/sim/medium.h"

#include <algorithm>

namespace holdfast::sim {
namespace {

// What arrives at once on a path of bounded bandwidth.
constexpr std::size_t kPacket = 1460;

}  // namespace

std::size_t Pipe::write(Time now, Bytes bytes) {
  if (discarding_) return bytes.size();
  std::uint64_t room = shape_.capacity - std::min(shape_.capacity, written_ - read_);
  std::size_t size = std::min<std::uint64_t>(room, bytes.size());
  if (size == 0) return 0;
  if (end_ != End::none) return size;  // lost behind the cut, as the writer will learn
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
  written_ += size;
  line_free_ = std::max(now, line_free_);
  if (shape_.bandwidth == 0) {
    arrivals_.push_back({written_, line_free_ + shape_.latency});
    return size;
  }
  for (std::size_t left = size; left != 0;) {
    std::size_t packet = std::min(left, kPacket);
    left -= packet;
    line_free_ += Duration(static_cast<std::int64_t>(packet * 1000000 / shape_.bandwidth));
    arrivals_.push_back({written_ - left, line_free_ + shape_.latency});
  }
  return size;
}

std::uint64_t Pipe::arrived(Time now) const {
  std::uint64_t offset = read_;
  if (now < held_until_) return offset;
  for (const Arrival& arrival : arrivals_) {
    if (arrival.at > now) break;
    offset = std::max(offset, arrival.offset);
  }
  return offset;
}

Bytes Pipe::readable(Time now, std::size_t most) const {
  std::uint64_t size = std::min<std::uint64_t>(arrived(now) - read_, most);
  return Bytes(bytes_).subspan(read_ - base_, size);
}

void Pipe::consume(std::size_t size) {
  read_ += size;
  while (!arrivals_.empty() && arrivals_.front().offset <= read_) arrivals_.pop_front();
  if (read_ == written_) {
    bytes_.clear();
    base_ = read_;
  } else if (read_ - base_ > 65536) {
    bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(read_ - base_));
    base_ = read_;
  }
}

Pipe::End Pipe::ended(Time now) const {
  if (end_ == End::none || now < held_until_ || now < end_at_ || read_ != written_) {
    return End::none;
  }
  return end_;
}

void Pipe::end(End end, std::uint64_t keep, Time at) {
  if (end_ != End::none && keep >= written_) return;
  keep = std::clamp(keep, read_, written_);
  bytes_.resize(keep - base_);
  written_ = keep;
  while (arrivals_.size() > 1 && arrivals_[arrivals_.size() - 2].offset >= keep) {
    arrivals_.pop_back();
  }
  if (!arrivals_.empty()) {
    arrivals_.back().offset = std::min(arrivals_.back().offset, keep);
    at = std::max(at, arrivals_.back().at);
  }
  if (keep == read_) arrivals_.clear();
  end_ = end;
  end_at_ = at;
}

Time Pipe::next_arrival() const {
  Time at = kNever;
  if (!arrivals_.empty()) at = arrivals_.front().at;
  if (end_ != End::none) at = std::min(at, end_at_);
  return at == kNever ? kNever : std::max(at, held_until_);
}

}  // namespace holdfast::sim
