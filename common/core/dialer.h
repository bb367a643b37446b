// Dialer: when to dial which address. It knows no socket: the driver asks, dials and reports.
//
// Urgent (streams wait): one round of dials every 300 to 400 ms, growing to at most 800, so that a
// SYN lost in the outage costs no more than that; the last good address in every round, the others
// in turn beside it; at most 6 connects to each of both in flight. Relaxed (nobody waits): a round
// dials each address once, the last good one first, the next one when the one before has failed or
// has come to nothing for 250 ms (RFC 8305); the next round comes when none is in flight or the
// last one is two seconds old, after an exponential, jittered back-off.
#pragma once

#include <cstdint>
#include <optional>

#include "common/base/check.h"
#include "common/base/random.h"
#include "common/base/time.h"
#include "common/core/tuning.h"

namespace holdfast {

class Dialer {
 public:
  enum class Need : std::uint8_t { none, relaxed, urgent };

  explicit Dialer(std::uint64_t seed) : random_(seed) {}

  // The first round begins at the first address, or at any.
  enum class Begin : std::uint8_t { first, anywhere };
  void begin_at(Begin begin) { begin_ = begin; }

  // What the link wants now. Rising from relaxed to urgent dials at once, and so does the first
  // need after start_over(). Else the rounds go on as they were: a carrier that stands and comes to
  // nothing (refused, closed at once) is no reason to dial the faster.
  void set_need(Time now, Need need);
  // The link is up, or the host's network changed: what failed before may work now.
  void start_over();
  // How many addresses there are; indexes are kept where possible. 0: nothing to dial yet.
  void set_addresses(Time now, std::size_t count);
  // The address that counts as the last good one from now on; nothing: none does.
  void prefer(std::optional<std::size_t> address) { last_good_ = address; }

  // The next address to dial at this moment, by index; ask until it has none.
  std::optional<std::size_t> poll(Time now);
  Time next_timeout() const;

  // Each dial given out ends in exactly one of the last two; before that its connect may have
  // succeeded, and its handshake begun.
  void established();
  void connected(std::size_t address);
  // How far a dial came that came to nothing.
  enum class Reached : std::uint8_t { nobody, somebody };  // took the connect
  void failed(Time now, Reached reached = Reached::nobody);
  // The other end asked not to be dialled before `until`.
  void hold_off(Time until) { not_before_ = until; }
  // The next round is then, whatever the rounds were.
  void again_at(Time at) { not_before_ = next_round_ = at; }

  int in_flight() const { return in_flight_; }
  Need need() const { return need_; }
  // Dials given out since the need arose: what people want to see.
  std::uint32_t dials() const { return dials_; }

 private:
  std::size_t next_other();
  std::optional<std::size_t> poll_relaxed(Time now);
  std::size_t dial(Time now, std::size_t address);
  bool full() const;
  bool busy(Time now) const;

  Random random_;
  Need need_ = Need::none;
  bool fresh_ = true;  // no round since start_over()
  Time last_round_{};
  Time last_dial_{};
  std::size_t round_left_ = 0;  // relaxed: addresses that this round has not dialled yet
  Time next_round_{};
  Time not_before_{};
  Duration backoff_ = tuning::kUrgentDial;
  Duration interval_ = tuning::kUrgentDial;  // of urgent rounds
  std::size_t addresses_ = 0;
  std::optional<std::size_t> last_good_;
  Begin begin_ = Begin::first;
  std::optional<std::size_t> turn_;  // whose turn it was last; nothing: nobody's yet
  bool other_due_ = false;           // this round's second dial
  int in_flight_ = 0;
  int connecting_ = 0;  // of them
  std::uint32_t dials_ = 0;
};

}  // namespace holdfast
