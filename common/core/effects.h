// What a Link asks of its driver. Polled in order; every one is handled by one exhaustive visit.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/ids.h"
#include "common/base/time.h"
#include "common/core/stream_record.h"
#include "common/core/summary.h"
#include "common/wire/cause.h"

namespace holdfast {

namespace effect {

// Write these bytes to the application's socket now, straight from where they lie; then say
// delivered(n), also for n < size. What is not taken is queued at the next poll_effect().
struct Deliver {
  StreamHandle stream;
  Bytes bytes;
  bool last = false;  // DeliverFin comes at the next poll_effect(), if all of them are taken
};
// Everything before the peer's FIN was taken: shut down writing, then say fin_delivered().
struct DeliverFin {
  StreamHandle stream;
};
// Everything before the peer's ABORT was taken: reset the application's socket when its kernel
// has sent what it holds, then say abort_delivered().
struct DeliverAbort {
  StreamHandle stream;
  Cause cause{};
};
// Over: reset the application's socket at once (or drop a connect under way) and forget it.
struct ResetSocket {
  StreamHandle stream;
  Cause cause{};
};
// Reading was paused for want of credit or memory; there is room again.
struct ResumeReading {
  StreamHandle stream;
};
// Server: connect to the service, then say opened() or reset(cause).
struct ConnectTarget {
  StreamHandle stream;
};
// Client: the backend is connected.
struct Opened {
  StreamHandle stream;
};
// Client: the connection that the server made for it has this mark. At most once for a stream.
struct Origin {
  StreamHandle stream;
  std::uint64_t mark = 0;
};
// The last of a stream: its record is gone. Exactly one for every stream that was opened here.
struct Ended {
  StreamHandle stream;
  StreamSummary summary;
};
// Server: an OPEN was refused without becoming a stream.
struct OpenRefused {
  StreamId id;
  Cause cause{};
  std::string service;  // as the peer named it; empty: none, it asked for a destination
};
// Close this carrier abortively and drop what it has not sent. It is not the link's any more.
struct CloseCarrier {
  CarrierId carrier;
  Cause cause{};
};
// Nothing was heard for dead_after: read this carrier once more; if there is nothing, say
// carrier_silent().
struct VerifyCarrier {
  CarrierId carrier;
};
// A carrier carries the link.
struct LinkUp {
  CarrierId carrier;
  bool resumed = false;
  Duration outage{};  // since the peer was last heard; zero for a new link
  std::uint32_t streams = 0;
};
struct LinkDown {
  Cause cause{};
  std::uint32_t streams = 0;
  Time since{};  // when the peer was heard last
};
// This carrier delivers nothing, and neither did the ones before it: the `times`-th in a row. Are
// large packets lost? A client wants another, with smaller segments.
struct Barren {
  CarrierId carrier;
  std::uint32_t times = 0;
};
// The link is over and every stream with it. A client may renew() it.
struct LinkEnded {
  Cause cause{};
};
// Client: the server said no, for now.
struct Refused {
  Cause cause{};
  Duration retry_after{};
};
// Client: the server drains; no new streams.
struct Draining {};
// Client: the services whose targets take no connections now, by their indices; all others do, as
// far as the server says.
struct ServicesDown {
  std::vector<std::uint16_t> services;
};

}  // namespace effect

using Effect =
    std::variant<effect::Deliver, effect::DeliverFin, effect::DeliverAbort, effect::ResetSocket,
                 effect::ResumeReading, effect::ConnectTarget, effect::Opened, effect::Ended,
                 effect::OpenRefused, effect::CloseCarrier, effect::VerifyCarrier, effect::LinkUp,
                 effect::LinkDown, effect::LinkEnded, effect::Refused, effect::Draining,
                 effect::ServicesDown, effect::Barren, effect::Origin>;

// Effects in the order in which they were pushed. It keeps its memory, and gives it back to nobody
// until it has caught up.
class EffectQueue {
 public:
  void push(Effect effect) { effects_.push_back(std::move(effect)); }
  bool empty() const { return effects_.empty(); }
  std::optional<Effect> take() {
    if (effects_.empty()) return std::nullopt;
    std::optional<Effect> effect(std::move(effects_[head_++]));
    if (head_ == effects_.size()) {
      effects_.clear();
      head_ = 0;
    }
    return effect;
  }

 private:
  std::vector<Effect> effects_;
  std::size_t head_ = 0;
};

}  // namespace holdfast
