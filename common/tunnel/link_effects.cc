// What the link asks for, done: one small function an effect.
#include "common/tunnel/link_driver.h"
#include "common/tunnel/refusal_text.h"

namespace holdfast {

void LinkDriver::perform(const Effect& effect) {
  std::visit([this](const auto& what) { on(what); }, effect);
}

void LinkDriver::on(const effect::Deliver& effect) {
  if (effect.stream.slot != last_delivered_) {
    deliveries_ += 1;
    last_delivered_ = effect.stream.slot;
  }
  if (Bridge* bridge = bridge_of(effect.stream)) bridge->deliver(effect.bytes, effect.last);
}

void LinkDriver::on(const effect::DeliverFin& effect) {
  if (Bridge* bridge = bridge_of(effect.stream)) bridge->deliver_fin();
}

void LinkDriver::on(const effect::DeliverAbort& effect) {
  if (Bridge* bridge = bridge_of(effect.stream)) return bridge->deliver_abort();
  link_.abort_delivered(loop_.now(), effect.stream);
}

void LinkDriver::on(const effect::ResetSocket& effect) {
  Attachment* attachment = attachment_of(effect.stream);
  if (attachment == nullptr) return;
  attachment->target.reset();
  if (attachment->bridge) attachment->bridge->reset();
}

void LinkDriver::on(const effect::ResumeReading& effect) {
  if (Bridge* bridge = bridge_of(effect.stream)) bridge->resume_reading();
}

void LinkDriver::on(const effect::Opened& effect) {
  auto summary = link_.find_stream(loop_.now(), effect.stream.id, nullptr);
  if (summary) observer_.connection_open(info(effect.stream, *summary));
}

void LinkDriver::on(const effect::Ended& effect) {
  observer_.connection_closed(info(effect.stream, effect.summary));
  if (Attachment* attachment = attachment_of(effect.stream); attachment != nullptr) {
    // Both ends over: it has closed itself. Anything else was told by ResetSocket.
    if (attachment->bridge) attachment->bridge->reset();
    *attachment = Attachment{};
  }
  owner_.room_for_streams();
}

void LinkDriver::on(const effect::OpenRefused& effect) {
  OpenRefusal refusal{link_.id(), effect.id, peer(), effect.service, effect.cause, {}};
  if (effect.cause == Cause::unknown_service) refusal.reason = owner_.why_unknown(effect.service);
  observer_.connection_refused(refusal);
}

void LinkDriver::on(const effect::CloseCarrier& effect) {
  Carrier* carrier = find(effect.carrier);
  if (carrier == nullptr) return;  // it ends in order, or is lost already
  if (effect.cause == Cause::handshake_timeout) {
    std::string address = carrier->peer().to_string();
    last_error_ = address + ": no answer to HELLO, handshake timeout";
    observer_.dial_failed(address, "no answer to HELLO, handshake timeout");
  }
  carrier->close();
  part_with(effect.carrier);
}

// Client: before an application finds out.
void LinkDriver::tell_not_granted() {
  std::string names;
  for (const LinkService& service : link_.options().services) {
    if (!service.offered || service.granted.value_or(true)) continue;
    names += (names.empty() ? "" : ", ") + service.name;
  }
  if (names.empty()) return;
  observer_.warning("the server " + link_.server_name() + " does not grant this client: " + names +
                    " (its [clients.NAME] says what is granted)");
}

void LinkDriver::on(const effect::LinkUp& effect) {
  live_since_ = loop_.now();
  LinkEvent up = event();
  up.outage = effect.outage;
  up.connections = effect.streams;
  if (!effect.resumed) {
    observer_.link_up(up);
    if (!lane_) tell_not_granted();
  } else {
    observer_.link_resumed(up);
    if (observer_.wants_connection_resumed()) {
      for_each_connection(loop_.now(), [&](const ConnectionInfo& connection) {
        observer_.connection_resumed(connection);
      });
    }
  }
  owner_.room_for_streams();
}

void LinkDriver::on(const effect::LinkDown& effect) {
  silent_since_ = kNever;
  LinkEvent down = event();
  down.cause = effect.cause;
  down.since = effect.since;
  down.connections = effect.streams;
  observer_.link_down(down);
}

void LinkDriver::on(const effect::LinkEnded& effect) {
  LinkEvent ended = event();
  ended.cause = effect.cause;
  const LinkCounters& counters = link_.counters();
  bool server = link_.options().role == LinkOptions::Role::server;
  if (server || last_) {
    ended.pauses_credit = counters.pauses_credit;
    ended.pauses_memory = counters.pauses_memory;
    ended.bytes_up = server ? counters.received_bytes : counters.sent_bytes;
    ended.bytes_down = server ? counters.sent_bytes : counters.received_bytes;
  }
  observer_.link_ended(ended);
}

void LinkDriver::on(const effect::Refused& effect) {
  LinkEvent refused = event();
  refused.cause = effect.cause;
  refused.detail = refusal_text(effect.cause, link_.options().name);
  last_error_ = "the server refused: " + std::string(to_string(effect.cause)) +
                (refused.detail.empty() ? "" : " (" + refused.detail + ")");
  observer_.link_refused(refused, effect.retry_after);
  owner_.link_refused(effect.cause, effect.retry_after);
}

void LinkDriver::on(const effect::ServicesDown& effect) {
  owner_.services_down(effect.services);
}

void LinkDriver::on(const effect::Origin& effect) {
  owner_.stream_connected(effect.stream, effect.mark);
}

void LinkDriver::on(const effect::Barren& effect) {
  const Carrier* carrier = find(effect.carrier);
  if (carrier == nullptr) return;
  LinkEvent barren = event();
  barren.address = carrier->peer().to_string();
  barren.detail = barren_text(effect.times);
  last_error_ = barren.address + ": " + barren.detail;
  observer_.carrier_barren(barren);
  owner_.carrier_barren(carrier->peer());
}

void LinkDriver::on(const effect::Draining&) {
  observer_.link_draining(event());
}

}  // namespace holdfast
