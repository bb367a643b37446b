// Flow: one direction of a TCP connection, from the sender's kernel over a path to the receiver's.
//
//   read <= arrived <= sent <= written        positions in the stream of bytes
//   acked <= arrived, and acked <= sent       what the sender's kernel knows
//
// Loss is seen as TCP shows it: never as missing bytes, but as a hole behind which everything waits
// until the segment was sent again, after a round trip where others follow it, else after a timeout
// that doubles. The congestion window is Reno's. What a path does not pass for its size is sent
// again for ever.
#pragma once

#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/time.h"
#include "tests/sim/kernel/path.h"

namespace holdfast::sim {

class Flow {
 public:
  Flow(Path& path, Direction direction);
  ~Flow();
  Flow(const Flow&) = delete;
  Flow& operator=(const Flow&) = delete;

  // --- The sender's kernel ---
  std::size_t room() const;  // bytes that a send takes now
  bool writable() const;     // EPOLLOUT: a third of the buffer is free, little is unsent
  void write(Bytes bytes);   // at most room()
  void finish() { finish_ = true; }
  // Sends what the windows allow.
  void transmit(Time now);
  void set_segment(std::size_t bytes) { segment_ = bytes; }
  void limit_unsent(std::size_t bytes) { unsent_most_ = bytes; }
  std::uint64_t written() const { return written_; }
  std::uint64_t sent() const { return sent_; }
  std::uint64_t acked() const { return acked_; }

  // --- The receiver's kernel ---
  std::size_t available() const { return static_cast<std::size_t>(arrived_ - read_); }
  void read(MutableBytes into);  // at most available()
  // Everything arrived, and the FIN.
  bool finished() const { return finish_arrived_; }
  std::uint64_t arrived() const { return arrived_; }
  std::uint64_t consumed() const { return read_; }
  // The window that was told is so much smaller than it is that a reader's kernel says so.
  bool window_opened() const;

  // --- Time ---
  // When segments, or acknowledgements, arrive next; kNever: not before somebody acts.
  Time next_arrival() const;
  Time next_ack() const;
  // Takes what has arrived. True: bytes or the FIN are new.
  bool arrive(Time now);
  // An acknowledgement of what has arrived leaves for the sender.
  void acknowledge(Time now, Flow& back);
  // Takes acknowledgements. True: something is acknowledged or the window is wider.
  bool take_acks(Time now);

  // --- Faults ---
  // Nothing of it arrives before `until`; the acknowledgements of the other one do not either.
  void hold(Time until) { held_until_ = std::max(held_until_, until); }
  Time held_until() const { return held_until_; }
  // Nothing beyond `keep` will arrive, and no FIN. Gives when the last of it does.
  Time truncate(std::uint64_t keep, Time now);
  // The path passes other sizes now: what was stuck is sent again.
  void unstick(Time now);
  // Something was sent that the path does not pass, since this was asked last.
  bool take_swallowed() { return std::exchange(swallowed_, false); }
  // It is held up by a segment that was lost whenever it was sent again, until then; of holes that
  // an agent's question cannot overlook the last one, long ago if there was none.
  Time hole_until() const { return hole_noticed_until_; }

  // --- For TCP_INFO ---
  std::uint32_t retransmissions() const { return retransmissions_; }
  std::uint32_t backoff(Time now) const;
  std::size_t segment() const { return segment_; }
  std::size_t congestion_window() const { return window_; }
  Duration round_trip() const { return round_trip_; }
  Time last_arrival() const { return last_arrival_; }
  Time last_ack() const { return last_ack_; }

 private:
  struct Segment {
    std::uint64_t end;  // behind its last byte
    std::size_t bytes;
    Time sent;
    Time at;  // when it arrives; kNever: never as it is
    bool finish;
  };
  struct Ack {
    std::uint64_t arrived;
    std::uint64_t edge;
    Time at;
  };

  void send_segment(std::size_t bytes, bool finish, Time now);
  Time retransmitted(std::size_t bytes, Time now);
  Duration timeout() const;
  void note_hole(Time from, Time until);

  Path& path_;
  Direction direction_;
  std::size_t send_buffer_;
  std::size_t receive_buffer_;
  Path::Line line_;
  std::size_t segment_ = 1448;
  std::size_t unsent_most_ = SIZE_MAX;

  std::vector<std::uint8_t> bytes_;  // [base_, written_)
  std::uint64_t base_ = 0;
  std::uint64_t written_ = 0;
  std::uint64_t sent_ = 0;
  std::uint64_t arrived_ = 0;
  std::uint64_t acked_ = 0;
  std::uint64_t read_ = 0;
  std::uint64_t edge_;       // up to where the receiver allows, as the sender knows it
  std::uint64_t told_edge_;  // as it was told last
  bool finish_ = false;
  bool finish_sent_ = false;
  bool finish_arrived_ = false;

  std::deque<Segment> segments_;  // on their way
  std::deque<Ack> acks_;
  Time held_until_{};
  bool swallowed_ = false;
  Time hole_from_ = kLongAgo;
  Time hole_until_ = kLongAgo;
  Time hole_noticed_until_ = kLongAgo;
  std::size_t window_;  // congestion
  std::size_t threshold_ = SIZE_MAX;
  Duration round_trip_{};
  std::uint32_t retransmissions_ = 0;
  Time last_arrival_{};
  Time last_ack_{};
};

}  // namespace holdfast::sim
