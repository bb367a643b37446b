// What the peer says: one frame at a time, as the driver polls effects.
#include <algorithm>

#include "common/base/overloaded.h"
#include "common/base/store_order.h"
#include "common/core/link.h"

namespace holdfast {
std::optional<Effect> Link::poll_effect(Time now) {
  settle_delivery();
  if (effects_.empty()) read_frames(now);
  return effects_.take();
}

// Reads until something is for the driver to do: payload then goes from the carrier's buffer to
// its socket before the next frame is looked at.
void LinkBody::read_frames(Time now) {
  while (effects_.empty() && reading()) {
    FrameReader::Item item = reader_.next();
    if (std::holds_alternative<FrameReader::NeedMore>(item)) return;
    std::visit(overloaded{
                   [](const FrameReader::NeedMore&) {},
                   [&](const FrameReader::ControlFrame& frame) {
                     on_control(now, frame.type, frame.payload);
                   },
                   [&](const DataHeader& header) { on_data_header(now, header); },
                   [&](const FrameReader::DataPart& part) { on_data_part(now, part); },
                   [&](const FrameReader::Malformed& bad) { violation(now, bad.error.message); },
               },
               item);
  }
}

void LinkBody::on_control(Time now, FrameType type, Bytes payload) {
  trace_.received(now, type, payload);
  if (std::holds_alternative<Greeting>(state_)) {
    on_greeting_frame(now, type, payload);
  } else {
    on_live_frame(now, type, payload);
  }
}

void LinkBody::on_greeting_frame(Time now, FrameType type, Bytes payload) {
  const auto& greeting = std::get<Greeting>(state_);
  if (type == FrameType::goodbye) {
    auto goodbye = decode_goodbye(payload);
    if (!goodbye) return violation(now, goodbye.error().message);
    return on_goodbye(now, goodbye->reason);
  }
  if (!greeting.welcomed && type == FrameType::welcome) {
    auto welcome = decode_welcome(payload);
    if (!welcome) return violation(now, welcome.error().message);
    return on_welcome(now, std::move(*welcome));
  }
  if (greeting.welcomed && type == FrameType::table) {
    auto chunk = decode_table(payload);
    if (!chunk) return violation(now, chunk.error().message);
    return on_table(now, *chunk);
  }
  violation(now, std::string("unexpected ") + std::string(to_string(type)) + " while greeting");
}

void LinkBody::on_live_frame(Time now, FrameType type, Bytes payload) {
  // Decodes, and hands on what is well formed.
  auto with = [&](auto decoded, auto take) {
    if (!decoded) {
      violation(now, decoded.error().message);
    } else {
      take(*decoded);
    }
  };
  switch (type) {
    case FrameType::open:
      if (client()) break;
      return with(decode_open(payload), [&](const Open& open) { on_open(now, open); });
    case FrameType::opened:
      if (!client()) break;
      return with(decode_opened(payload), [&](const Opened& opened) { on_opened(now, opened.id); });
    case FrameType::fin:
      return with(decode_fin(payload), [&](const Fin& fin) { on_fin(now, fin); });
    case FrameType::abort:
      return with(decode_abort(payload), [&](const Abort& abort) { on_abort(now, abort); });
    case FrameType::reset:
      return with(decode_reset(payload), [&](const Reset& reset) { on_reset(now, reset); });
    case FrameType::ack:
      return with(decode_ack(payload), [&](const AckList& acks) { on_ack(now, acks); });
    case FrameType::ping:
      return with(decode_ping(payload), [&](const Ping& ping) { pong_due_ = ping.token; });
    case FrameType::pong:
      return with(decode_ping(payload), [&](const Ping& pong) {
        Time since = outage_since();
        if (!liveness_.pong(now, pong.token)) return;
        if (drain_told_us_ != 0 && pong.token >= drain_told_us_) drain_heard_ = true;
        first_bytes_.answered();
        if (since != kNever) return silence_over(now, since);
        release_standby();
      });
    case FrameType::drain:
      if (!client()) break;
      if (!payload.empty()) break;
      if (!draining_) push(effect::Draining{});
      draining_ = true;
      return;
    case FrameType::goodbye:
      return with(decode_goodbye(payload),
                  [&](const Goodbye& goodbye) { on_goodbye(now, goodbye.reason); });
    case FrameType::services_down:
      if (!client()) break;
      return with(decode_services_down(payload),
                  [&](const ServicesDown& down) { on_services_down(down); });
    case FrameType::origin:
      if (!client()) break;
      return with(decode_origin(payload), [&](const Origin& origin) { on_origin(now, origin); });
    case FrameType::hello:
    case FrameType::welcome:
    case FrameType::table:
    case FrameType::data:
      break;
  }
  violation(now, "unexpected " + std::string(to_string(type)));
}

// Rule 6.
void LinkBody::on_goodbye(Time now, Cause reason) {
  forgotten_ = true;
  become_ended(now, reason == Cause::none ? Cause::goodbye : reason);
}

// The table of frames in PROTOCOL.md: what a frame means for an id, whatever the frame.
LinkBody::Lookup LinkBody::look_up(Time now, StreamId id, const char* frame, SlotIndex& slot) {
  if (id > last_id_ || id.value == 0) {
    violation(now, std::string(frame) + " for a stream that was never opened");
    return Lookup::violation;
  }
  slot = streams_.find(id);
  if (slot == kNoSlot) return Lookup::ignore;
  const StreamRecord& record = streams_[slot];
  if (client() && record.open_state == OpenState::queued) {
    violation(now, std::string(frame) + " for a stream that the peer cannot know");
    return Lookup::violation;
  }
  return record.reset == ResetState::waiting ? Lookup::ignore : Lookup::found;
}

// --- DATA -----------------------------------------------------------------------------------

void LinkBody::on_data_header(Time now, const DataHeader& header) {
  incoming_ = {};
  if (std::holds_alternative<Greeting>(state_)) {
    violation(now, "DATA while greeting");
    return;
  }
  trace_.frame(now, TraceEvent::Kind::receive, FrameType::data, header.id.value, header.offset,
               header.length);
  SlotIndex slot = kNoSlot;
  if (look_up(now, header.id, "DATA", slot) != Lookup::found) return;
  const StreamRecord& record = streams_[slot];
  bool discard = record.receive.discarding();
  if (!discard) {
    if (record.receive.ended()) return violation(now, "DATA after its end");
    if (header.offset != record.receive.received()) {
      return violation(now, "DATA out of order");
    }
    if (header.length > record.receive.foretold_end() - header.offset) {
      return violation(now, "DATA beyond an end that was read once");
    }
    if (header.length > record.receive.credit_left()) {
      return violation(now, "DATA beyond the limit");
    }
  }
  if (!take_ack(now, slot, header.ack, header.limit)) return;
  // The ack may have been the last thing that the record waited for.
  if (!discard) incoming_.stream = {slot, header.id};
}

void LinkBody::on_data_part(Time now, const FrameReader::DataPart& part) {
  StreamRecord* record = find(incoming_.stream);
  if (record == nullptr || record->receive.discarding()) return;
  SlotIndex slot = incoming_.stream.slot;
  bool direct = record->receive.queued_bytes() == 0 &&
                record->open_state != OpenState::connecting &&
                record->socket == SocketState::attached;
  std::uint64_t offset = record->receive.arrive(part.bytes.size());
  if (direct) {
    pending_ = {slot, part.bytes};
    push(effect::Deliver{handle(slot), part.bytes, reader_.fin_follows(record->stream())});
  } else {
    record->receive.keep(receive_memory_, record->id, offset, part.bytes);
  }
  owe_ack(now, slot);
}

// --- Control frames of a stream -------------------------------------------------------------

void LinkBody::on_open(Time now, const Open& open) {
  if (open.id <= last_id_) return violation(now, "OPEN of an id already used");
  if (std::holds_alternative<Leaving>(state_)) return void(last_id_ = open.id);
  std::optional<std::uint16_t> service =
      find_service(open.service.empty() ? kByDestination : open.service);
  Cause refusal = Cause::none;
  // Those that were on their way when the client heard of it are taken.
  if (draining_ && drain_heard_) {
    refusal = Cause::draining;
  } else if (!service) {
    refusal = Cause::unknown_service;
  } else if (streams_.size() >= options_.max_streams || !admit_stream()) {
    refusal = Cause::limit;
  }
  if (refusal != Cause::none) {
    last_id_ = open.id;  // rule 7: raised even then
    if (refusals_.size() >= tuning::kMaxRefusals) {
      return violation(now, "too many refused OPENs");
    }
    refusals_.push_back({open.id, refusal});
    return push(effect::OpenRefused{open.id, refusal, std::string(open.service)});
  }
  SlotIndex slot = streams_.take();
  StreamRecord& record = streams_[slot];
  record.open_state = OpenState::connecting;
  record.ever_sent = true;
  record.service = *service;
  record.source = open.source;
  record.destination = open.destination;
  record.opened_at_us = now.time_since_epoch().count();
  record.send.grant(open.limit);
  // The credit is what WELCOME said.
  record.receive.open(std::min(tuning::kInitialWindow, options_.max_window), tuning::kFloor);
  streams_.add(slot, open.id);
  // After the record: an id that was seen and is not there is over.
  keep_store_order();
  last_id_ = open.id;
  trace_.note(now, TraceEvent::Kind::stream_open, open.id.value);
  if (order_.connects_now(now, slot)) push(effect::ConnectTarget{handle(slot)});
}

void LinkBody::on_opened(Time now, StreamId id) {
  SlotIndex slot = kNoSlot;
  if (look_up(now, id, "OPENED", slot) != Lookup::found) return;
  if (streams_[slot].open_state != OpenState::sent) return;
  streams_[slot].open_state = OpenState::open;
  options_.services[streams_[slot].service].granted = true;
  push(effect::Opened{handle(slot)});
}

void LinkBody::on_fin(Time now, const Fin& fin) {
  SlotIndex slot = kNoSlot;
  if (look_up(now, fin.id, "FIN", slot) != Lookup::found) return;
  StreamRecord& record = streams_[slot];
  if (record.receive.discarding()) return;
  if (record.receive.ended() || fin.offset != record.receive.received() ||
      !record.receive.mark_may_stand(fin.offset)) {
    return violation(now, "FIN out of order");
  }
  record.receive.arrive_fin(receive_memory_);
  order_.note_ending(slot);
  advance_delivery(slot);
}

// Rule 9.
void LinkBody::on_abort(Time now, const Abort& abort) {
  SlotIndex slot = kNoSlot;
  if (look_up(now, abort.id, "ABORT", slot) != Lookup::found) return;
  StreamRecord& record = streams_[slot];
  if (has_abort(record.send.end())) return reset_stream(now, slot, record.cause);
  bool first = !record.receive.ended();
  if (has_abort(record.receive.end()) || abort.offset != record.receive.received() ||
      (first && !record.receive.mark_may_stand(abort.offset))) {
    return violation(now, "ABORT out of order");
  }
  record.receive.arrive_abort(receive_memory_);
  Cause vanished = client() ? Cause::target_vanished : Cause::client_vanished;
  bool told = abort.code == vanished;
  record.cause = told ? vanished : client() ? Cause::target_rst : Cause::client_rst;
  order_.note_ending(slot);
  keep_store_order();
  record.send.drop(send_memory_);
  outbox_.remove_data(slot);
  start_linger(now, slot);
  advance_delivery(slot);
}

void LinkBody::on_reset(Time now, const Reset& reset) {
  if (reset.id > last_id_ || reset.id.value == 0) {
    return violation(now, "RESET for a stream that was never opened");
  }
  SlotIndex slot = streams_.find(reset.id);
  if (slot == kNoSlot) return;
  StreamRecord& record = streams_[slot];
  if (client() && record.open_state == OpenState::queued) {
    return violation(now, "RESET for a stream that the peer cannot know");
  }
  if (client() && reset.code == Cause::unknown_service) {
    options_.services[record.service].granted = false;
  }
  record.cause = end_of(record, reset.code == Cause::none ? Cause::other : reset.code);
  give_up_socket(record);
  free_stream(now, slot);
}

void LinkBody::on_ack(Time now, const AckList& acks) {
  for (std::size_t i = 0; i < acks.count(); ++i) {
    AckEntry entry = acks.entry(i);
    SlotIndex slot = kNoSlot;
    Lookup lookup = look_up(now, entry.id, "ACK", slot);
    if (lookup == Lookup::violation) return;
    if (lookup == Lookup::found && !take_ack(now, slot, entry.ack, entry.limit)) return;
  }
}

}  // namespace holdfast
