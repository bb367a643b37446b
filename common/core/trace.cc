#include "common/core/trace.h"

#include <cinttypes>
#include <cstdio>

#include "common/core/tuning.h"
#include "common/wire/coding.h"

namespace holdfast {

std::string_view to_string(TraceEvent::Kind kind) {
  using Kind = TraceEvent::Kind;
  switch (kind) {
    case Kind::send:
      return "send";
    case Kind::receive:
      return "receive";
    case Kind::carrier_down:
      return "carrier_down";
    case Kind::link_live:
      return "link_live";
    case Kind::link_ended:
      return "link_ended";
    case Kind::stream_open:
      return "stream_open";
    case Kind::stream_ended:
      return "stream_ended";
    case Kind::delivered:
      return "delivered";
  }
  return "invalid";
}

std::string_view to_string(FrameType type) {
  switch (type) {
    case FrameType::hello:
      return "HELLO";
    case FrameType::welcome:
      return "WELCOME";
    case FrameType::table:
      return "TABLE";
    case FrameType::open:
      return "OPEN";
    case FrameType::opened:
      return "OPENED";
    case FrameType::data:
      return "DATA";
    case FrameType::fin:
      return "FIN";
    case FrameType::abort:
      return "ABORT";
    case FrameType::reset:
      return "RESET";
    case FrameType::ack:
      return "ACK";
    case FrameType::ping:
      return "PING";
    case FrameType::pong:
      return "PONG";
    case FrameType::drain:
      return "DRAIN";
    case FrameType::goodbye:
      return "GOODBYE";
    case FrameType::services_down:
      return "SERVICES_DOWN";
    case FrameType::origin:
      return "ORIGIN";
  }
  return "invalid";
}

std::string to_json(const TraceEvent& event, std::string_view side, std::string_view link) {
  using Kind = TraceEvent::Kind;
  std::int64_t us = event.at.time_since_epoch().count();
  char number[64];
  std::snprintf(number, sizeof number, "%" PRId64 ".%06d", us / 1000000,
                static_cast<int>(us % 1000000));
  std::string line = "{\"t\":";
  line += number;
  auto text = [&line](std::string_view key, std::string_view value) {
    line.append(",\"").append(key).append("\":\"").append(value).append("\"");
  };
  auto integer = [&line](std::string_view key, std::uint64_t value) {
    line.append(",\"").append(key).append("\":").append(std::to_string(value));
  };
  text("side", side);
  text("link", link);
  text("event", to_string(event.kind));
  if (event.kind == Kind::send || event.kind == Kind::receive) {
    text("frame", to_string(event.frame));
  }
  if (event.id != 0) integer("id", event.id);
  bool places = event.frame == FrameType::data || event.frame == FrameType::fin ||
                event.frame == FrameType::abort || event.kind == Kind::delivered;
  if (places) integer("offset", event.offset);
  if (event.length != 0) integer("length", event.length);
  if (event.cause != Cause::none) text("cause", to_string(event.cause));
  line.push_back('}');
  return line;
}

void TraceLog::add(const TraceEvent& event) {
  if (events_.size() < tuning::kMaxTraceEvents) events_.push_back(event);  // else nobody takes them
}

// As the sender traces it.
void TraceLog::add_received(Time now, FrameType type, Bytes payload) {
  TraceEvent event{.at = now, .kind = TraceEvent::Kind::receive, .frame = type};
  auto number = [&](std::size_t at) {
    return payload.size() < at + 8 ? 0 : load_big_endian<std::uint64_t>(payload.data() + at);
  };
  switch (type) {
    case FrameType::fin:
    case FrameType::abort:
      event.offset = number(8);
      [[fallthrough]];
    case FrameType::open:
    case FrameType::opened:
    case FrameType::reset:
      event.id = number(0);
      break;
    case FrameType::ack:
      event.length = payload.size() / kAckEntrySize;
      break;
    case FrameType::table:
      event.length = payload.size() / kTableEntrySize;
      break;
    default:
      break;
  }
  add(event);
}

}  // namespace holdfast
