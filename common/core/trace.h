// TraceEvent: what happened to a link, typed; the simulator and the daemons write the same.
//
// One JSON object a line (to_json), so that scripts/trace can print two sides beside each other.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/ids.h"
#include "common/base/time.h"
#include "common/wire/cause.h"
#include "common/wire/constants.h"

namespace holdfast {

struct TraceEvent {
  enum class Kind : std::uint8_t {
    send,     // a frame was put into a gather
    receive,  // a frame was taken from a carrier
    carrier_down,
    link_live,
    link_ended,
    stream_open,   // a record was made
    stream_ended,  // and freed
    delivered,     // bytes were taken by the application
  };

  Time at{};
  Kind kind{};
  FrameType frame{};     // with send and receive
  std::uint64_t id = 0;  // stream, or carrier with carrier_down and link_live
  std::uint64_t offset = 0;
  std::uint64_t length = 0;  // bytes of DATA, entries of ACK and TABLE
  Cause cause = Cause::none;
};

std::string_view to_string(TraceEvent::Kind kind);
std::string_view to_string(FrameType type);

// {"t":1.000250,"side":"client","link":"3fa9c1d2","event":"send","frame":"DATA","id":1,...}
// Time in seconds; members that mean nothing for the event are left out. No newline.
std::string to_json(const TraceEvent& event, std::string_view side, std::string_view link);

// What happened to one link since it was last taken; nothing where nobody wants to know.
class TraceLog {
 public:
  explicit TraceLog(bool on) : on_(on) {}

  void frame(Time now, TraceEvent::Kind kind, FrameType type, std::uint64_t stream = 0,
             std::uint64_t offset = 0, std::uint64_t length = 0) {
    if (on_)
      add({.at = now,
           .kind = kind,
           .frame = type,
           .id = stream,
           .offset = offset,
           .length = length});
  }
  void note(Time now, TraceEvent::Kind kind, std::uint64_t id, Cause cause = Cause::none) {
    if (on_) add({.at = now, .kind = kind, .id = id, .cause = cause});
  }
  void delivered(Time now, std::uint64_t stream, std::uint64_t offset, std::uint64_t length) {
    if (on_)
      add({.at = now,
           .kind = TraceEvent::Kind::delivered,
           .id = stream,
           .offset = offset,
           .length = length});
  }
  // A control frame as it came; its payload may be malformed.
  void received(Time now, FrameType type, Bytes payload) {
    if (on_) add_received(now, type, payload);
  }
  std::vector<TraceEvent> take() { return std::exchange(events_, {}); }

 private:
  void add(const TraceEvent& event);
  void add_received(Time now, FrameType type, Bytes payload);

  bool on_;
  std::vector<TraceEvent> events_;
};

}  // namespace holdfast
