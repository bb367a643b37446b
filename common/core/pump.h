// Pump: drives one Link as link.h asks, whatever its carriers and sockets are made of.
//
//   said something to the link  --> touch() --------> Port::wants_turn()
//   bytes of a carrier          --> prepare_read(), then carrier_bytes()
//   a turn: all input is taken  --> turn():  timeout, effects, connects, verify, transmit, effects
//
// Payload of carrier_bytes() goes straight to its sockets; whatever is to be sent leaves in turn(),
// for everything that the turn brought. The owner arms one timer for Link::next_timeout(), which
// touches. What is left over, for want of budget or by whom ever, is seen to in the next turn.
#pragma once

#include <sys/uio.h>

#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "common/core/link.h"

namespace holdfast {

class Pump {
 public:
  // The world around it. A port may say anything to the link and close what it likes, but calls
  // the pump only where it says so, and touch().
  class Port {
   public:
    // A turn() is to follow when all input is taken. Not told again before it, nor within one.
    virtual void wants_turn() = 0;
    // Does what the effect says (effects.h), except for VerifyCarrier and ConnectTarget, which
    // never come here: the two calls below are made in their place, after the effects.
    virtual void perform(const Effect& effect) = 0;
    // Begins to connect a stream that still waits for it.
    virtual void connect(StreamHandle stream) = 0;
    // Reads the carrier once, and hands what comes to Pump::carrier_bytes(). False: there was
    // nothing, not even an end.
    virtual bool read_once(CarrierId carrier) = 0;
    // What the kernel says of its path; nothing where no kernel knows.
    virtual std::optional<PathReport> path(CarrierId) const { return std::nullopt; }
    // How many bytes the next gather may bring: what waits in the carrier is sent before all that
    // is urgent later.
    virtual std::size_t room(CarrierId) { return tuning::kMaxGather; }
    // False: it takes nothing now.
    virtual bool writable(CarrierId carrier) const = 0;
    // Writes at once; how many bytes were taken. If not all: touches once there is room again.
    virtual std::size_t write(CarrierId carrier, std::span<const iovec> buffers) = 0;
    // The link's last word is written: the carrier is to end in order.
    virtual void finish(CarrierId carrier) = 0;

   protected:
    ~Port() = default;
  };

  // What one link may do in one turn before others have theirs.
  struct Budget {
    std::size_t effects = 1024;
    // Some 50 us each: a client that opens thousands at once must not hold up the others.
    std::size_t connects = 32;
    std::size_t bytes = 1 * kMiB;
    std::size_t gather = tuning::kMaxGather;  // of them, in one write
  };
  // What a read should bring: at most this, and at least that, however many effects it causes.
  static constexpr std::size_t kMostRead = 256 * kKiB;
  static constexpr std::size_t kLeastRead = 4 * kKiB;

  // Both outlive it.
  Pump(Link& link, Port& port) : Pump(link, port, Budget{}) {}
  Pump(Link& link, Port& port, Budget budget) : link_(link), port_(port), budget_(budget) {}

  // Something was said to the link.
  void touch();
  // Before a carrier is read: does what earlier bytes still ask for. False: there is more of that
  // than a turn may do, so the carrier is read in the next one.
  bool prepare_read(Time now);
  // They are good until this returns: all that they cause is done by then.
  void carrier_bytes(Time now, CarrierId carrier, Bytes bytes);
  // How many of them the next read should bring at most.
  std::size_t read_size() const { return read_size_; }
  // True: there is more to do, another turn is to follow.
  bool turn(Time now);

  // All effects were polled.
  bool settled() const { return settled_; }

 private:
  bool perform_effects(Time now, std::size_t most);
  void connect_some();
  void verify(Time now);
  void look(Time now);
  void transmit(Time now);
  bool gather(Time now, CarrierId carrier);
  void drop_written(std::size_t size);
  void adapt_read_size(std::size_t bytes, std::size_t effects);

  Link& link_;
  Port& port_;
  Budget budget_;
  bool settled_ = true;
  bool polling_ = false;               // an effect is being performed
  bool touched_ = false;               // a turn is to follow
  bool turning_ = false;               // and it is this one
  CarrierId verify_;                   // to be read once more
  std::deque<StreamHandle> connects_;  // to be begun

  // What is still to be written of the last gather, and where. It keeps its memory.
  std::vector<iovec> gather_;
  CarrierId gather_carrier_;
  bool gather_last_ = false;

  std::size_t polled_ = 0;  // effects since the last turn
  std::size_t read_size_ = kMostRead;
};

}  // namespace holdfast
