// Liveness: is the carrier's other end still there? Only what was heard counts.
//
//        +------ PONG ---------------------------------+
//        v                      |                      |
//      fresh --silence--> asked --no PONG--> suspect --+   (dead_after of silence in any of them:
//                                                           the driver reads once more)
//   fresh    every question was answered
//   asked    a PING was sent
//   suspect  it stood for max(4 RTT, 500 ms): the client dials a standby. Where nothing at all was
//            heard meanwhile, RTT is the path's own: load delays answers, but it brings bytes
//
// Whatever is heard keeps a carrier from being dead. Only the answer shows that *our* bytes get
// through: after an outage the peer's retransmissions may come long before ours, which wait for a
// timer that has backed off.
//
// A path may be slow and not dead: bytes that arrive while the question is on its way (Progress)
// give it more time.
//
// Silence is questioned after `heartbeat`, and much sooner once something was written that nobody
// has answered in any way. PONG and ACK are no such writes: nobody answers them, and an idle link
// would ask for ever. A peer that talks all the while has perhaps nothing of ours: a `heartbeat`
// after a write the kernel is looked at, and bytes that were sent again twice in vain are a doubt.
//
// A turn that came late (SIGSTOP, a starved CPU, suspend) says nothing
// about the peer: it restarts the wait, once until something is heard.
#pragma once

#include <algorithm>

#include "common/base/time.h"
#include "common/core/pings.h"
#include "common/core/progress.h"
#include "common/core/tuning.h"

namespace holdfast {

class Liveness {
 public:
  enum class State : std::uint8_t { fresh, asked, suspect };
  enum class Action : std::uint8_t {
    none,
    ping,     // ask
    suspect,  // the client should dial a standby now
    verify,   // silent for dead_after: read once more, then call it dead
  };

  // A new carrier stands; `round_trip` is what is known of the path, zero for nothing.
  void start(Time now, Duration heartbeat, Duration dead_after, Duration round_trip);

  void heard(Time now) {
    last_heard_ = now;
    excused_ = false;
    // What was written less than the path's round trip ago is not answered by this.
    bool may_answer = written_since_ != kNever && now - written_since_ >= path_ / 2;
    if (state_ == State::fresh && may_answer) written_since_ = kNever;
  }
  // A PONG of this carrier came.
  void answered() {
    state_ = State::fresh;
    written_since_ = kNever;
  }
  // A PING leaves: its token. A PONG came: false for one that none of this carrier's asked for.
  std::uint64_t ping(Time now) {
    progress_.handed();
    return pings_.send(now);
  }
  bool pong(Time now, std::uint64_t token);
  // While bytes flow the round trip is measured by one PING at a time; without bulk not in each
  // one.
  bool measure_due(Time now, bool bulk) const {
    return pings_.measure_due(now, bulk ? Duration{} : round_trip() * tuning::kMeasureRoundTrips);
  }
  // The kernel's report of the path is wanted when a timeout is due, and while a question stands at
  // once when it has just come up or been handed over.
  bool wants_report(Time now) const { return questioned() || now >= see_at(); }
  bool questioned() const { return state_ != State::fresh; }
  bool unreported() const { return progress_.wants_report(); }
  void report(Time now, const PathReport& path);
  // Before the link is live: true when bytes have moved since the last report.
  bool moves(const PathReport& path) { return progress_.report(path, patience()); }
  // Something that deserves an answer was handed to the carrier (PONG and ACK do not).
  void wrote(Time now) {
    if (written_since_ == kNever) written_since_ = now;
  }
  // ... and was no question: the kernel is to say in time what became of it.
  void wrote_more(Time now) {
    if (unseen_since_ == kNever) unseen_since_ = now;
  }
  // The host's addresses or routes changed, or a newcomer claims this carrier's place: ask now.
  void doubt(Time now);
  void measured(Duration round_trip);
  // Carriers before this one delivered nothing: patience is doubled so often.
  void be_patient(std::uint32_t doublings) { doublings_ = doublings; }
  // It delivers nothing: suspect at once. True: a question is to be put, none was.
  bool give_up(Time now);
  // The peer's kernel has the question that stands.
  bool passed() const { return questioned() && progress_.passed(); }

  Time next_timeout() const;
  Action timeout(Time now);

  State state() const { return state_; }
  bool suspect() const { return state_ == State::suspect; }
  Time last_heard() const { return last_heard_; }
  // Suspect: since when nothing was heard, or, where something was, no answer came; not before an
  // earlier suspicion was taken back. Else when something was heard last.
  Time silent_since() const { return suspect() ? silent_since_ : last_heard_; }
  Time dead_at() const { return std::max(last_heard_, moved_at_) + dead_after_; }
  // Smoothed, but never less than the last one measured: load raises it at once. Zero before the
  // first measurement.
  Duration round_trip() const { return std::max(round_trip_, latest_); }
  // The least measured of late: without load. Zero before the first measurement.
  Duration path_round_trip() const { return path_; }
  // Likewise, or longer: while bytes come, an answer that has not come is behind them.
  Duration loaded_round_trip(Time now) const {
    bool heard = now - last_heard_ < tuning::kSuspectAfter;
    return heard ? std::max(round_trip(), pings_.waiting(now)) : round_trip();
  }
  // How long an answer may take before its absence is a sign.
  Duration patience() const;

 private:
  // The same where nothing whatsoever is heard.
  Duration silent_patience() const;
  void ask(Time now);
  void become_suspect();
  Time ask_at() const;
  Time see_at() const;
  Time suspect_at() const;

  Duration heartbeat_{};
  Duration dead_after_{};
  Duration round_trip_{};  // smoothed
  Duration latest_{};
  Duration path_{};    // the least measured of late: without load
  Duration beside_{};  // PathReport::beside
  Time last_heard_{};
  Time written_since_ = kNever;  // first write since something was heard
  Time unseen_since_ = kNever;   // first write since the kernel said that all of it has arrived
  Time asked_at_ = kNever;
  Time silent_since_{};
  State state_ = State::fresh;
  Time doubted_at_ = kNever;  // asked to ask, not yet done
  Pings pings_;
  Progress progress_;
  Time moved_at_{};        // bytes moved while the question was on its way
  Time believed_at_{};     // ... while it was suspect, which it was no more then
  Time look_at_ = kNever;  // the next report is due, once there are any
  std::uint32_t doublings_ = 0;
  bool excused_ = false;  // a late turn was already forgiven
};

}  // namespace holdfast
