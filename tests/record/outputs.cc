#include "tests/record/outputs.h"

#include "common/base/overloaded.h"

namespace holdfast::record {
namespace {

std::uint64_t count(Time time) {
  return static_cast<std::uint64_t>(time.time_since_epoch().count());
}
std::uint64_t count(Duration duration) {
  return static_cast<std::uint64_t>(duration.count());
}

template <typename T>
std::uint64_t code(T value) {
  return static_cast<std::uint64_t>(value);
}

void put_summary(Tape& tape, const StreamSummary& summary) {
  tape.mix("service", summary.service);
  tape.mix("open_state", code(summary.open_state));
  tape.mix("own_end", code(summary.own_end));
  tape.mix("peer_end", code(summary.peer_end));
  tape.mix("cause", code(summary.cause));
  tape.mix("pause", code(summary.pause));
  tape.mix("sent_bytes", summary.sent_bytes);
  tape.mix("unacked_bytes", summary.unacked_bytes);
  tape.mix("received_bytes", summary.received_bytes);
  tape.mix("queued_bytes", summary.queued_bytes);
  tape.mix("window", summary.window);
  tape.mix("replayed_bytes", summary.replayed_bytes);
  tape.mix("resumes", summary.resumes);
  tape.mix("age", count(summary.age));
  tape.mix("idle", count(summary.idle));
  tape.mix("detached", count(summary.detached));
  tape.mix("source_port", summary.source.port);
  tape.mix("destination_port", summary.destination.port);
}

void put_handle(Tape& tape, StreamHandle stream) {
  tape.out("stream", stream.id.value);
  tape.mix("slot", stream.slot);
}

}  // namespace

void put_effect(Tape& tape, const std::optional<Effect>& effect) {
  tape.out("effect (its place among Effect's, from 1)", effect ? effect->index() + 1 : 0);
  if (!effect) return;
  std::visit(overloaded{
                 [&](const effect::Deliver& e) {
                   put_handle(tape, e.stream);
                   tape.mix("bytes", e.bytes.size());
                   tape.mix("content", e.bytes);
                   tape.mix("last", e.last);
                 },
                 [&](const effect::DeliverFin& e) { put_handle(tape, e.stream); },
                 [&](const effect::DeliverAbort& e) {
                   put_handle(tape, e.stream);
                   tape.out("cause", code(e.cause));
                 },
                 [&](const effect::ResetSocket& e) {
                   put_handle(tape, e.stream);
                   tape.out("cause", code(e.cause));
                 },
                 [&](const effect::ResumeReading& e) { put_handle(tape, e.stream); },
                 [&](const effect::ConnectTarget& e) { put_handle(tape, e.stream); },
                 [&](const effect::Opened& e) { put_handle(tape, e.stream); },
                 [&](const effect::Origin& e) {
                   put_handle(tape, e.stream);
                   tape.mix("mark", e.mark);
                 },
                 [&](const effect::Ended& e) {
                   put_handle(tape, e.stream);
                   put_summary(tape, e.summary);
                 },
                 [&](const effect::OpenRefused& e) {
                   tape.out("stream", e.id.value);
                   tape.out("cause", code(e.cause));
                 },
                 [&](const effect::CloseCarrier& e) {
                   tape.out("carrier", e.carrier.value);
                   tape.out("cause", code(e.cause));
                 },
                 [&](const effect::VerifyCarrier& e) { tape.out("carrier", e.carrier.value); },
                 [&](const effect::LinkUp& e) {
                   tape.out("carrier", e.carrier.value);
                   tape.out("resumed", e.resumed);
                   tape.mix("outage", count(e.outage));
                   tape.out("streams", e.streams);
                 },
                 [&](const effect::LinkDown& e) {
                   tape.out("cause", code(e.cause));
                   tape.out("streams", e.streams);
                 },
                 [&](const effect::LinkEnded& e) { tape.out("cause", code(e.cause)); },
                 [&](const effect::Refused& e) {
                   tape.out("cause", code(e.cause));
                   tape.mix("retry_after", count(e.retry_after));
                 },
                 [&](const effect::Draining&) {},
                 [&](const effect::ServicesDown& e) {
                   tape.out("services", e.services.size());
                   for (std::uint16_t service : e.services) tape.mix("service", service);
                 },
                 [&](const effect::Barren& e) {
                   tape.out("carrier", e.carrier.value);
                   tape.out("times", e.times);
                 },
             },
             *effect);
}

void put_transmit(Tape& tape, const std::optional<Transmit>& transmit) {
  tape.out("bytes to transmit", transmit ? transmit->bytes : 0);
  if (!transmit) return;
  tape.mix("carrier", transmit->carrier.value);
  tape.mix("last", transmit->last);
  // How it is cut into buffers depends on where memory lies.
  std::vector<std::uint8_t> all;
  for (const iovec& each : transmit->buffers) {
    const auto* begin = static_cast<const std::uint8_t*>(each.iov_base);
    all.insert(all.end(), begin, begin + each.iov_len);
  }
  tape.mix("content", Bytes(all));
}

void put_buffers(Tape& tape, std::span<const iovec> buffers, bool bytes) {
  tape.out("buffers", buffers.size());
  for (const iovec& each : buffers) {
    tape.mix("size", each.iov_len);
    if (!bytes) continue;
    tape.mix("content", Bytes(static_cast<const std::uint8_t*>(each.iov_base), each.iov_len));
  }
}

void put_stream(Tape& tape, const Link& link, Time now, StreamHandle stream) {
  StreamHandle handle;
  std::optional<StreamSummary> summary = link.find_stream(now, stream.id, &handle);
  tape.mix("stream is there", summary.has_value());
  if (!summary) return;
  tape.mix("slot", handle.slot);
  put_summary(tape, *summary);
}

void put_state(Tape& tape, const Link& link, Time now, bool streams) {
  tape.mix("next_timeout", count(link.next_timeout()));
  tape.mix("carrier", link.carrier().value);
  tape.mix("live", link.live());
  tape.mix("detached", link.detached());
  tape.mix("leaving", link.leaving());
  tape.mix("ended", link.ended());
  tape.mix("wants_carrier", link.wants_carrier());
  tape.mix("draining", link.draining());
  tape.mix("suspect", code(link.liveness().state()));
  tape.mix("streams", link.stream_count());
  tape.mix("send_log", link.send_log_bytes());
  const LinkCounters& counters = link.counters();
  tape.mix("sent_bytes", counters.sent_bytes);
  tape.mix("received_bytes", counters.received_bytes);
  tape.mix("replayed_bytes", counters.replayed_bytes);
  tape.mix("pauses_credit", counters.pauses_credit);
  tape.mix("pauses_memory", counters.pauses_memory);
  if (!streams) return;
  tape.mix("attempt", link.attempt());
  tape.mix("instance", link.instance());
  tape.mix("grace", count(link.grace()));
  tape.mix("grace_deadline", count(link.grace_deadline()));
  tape.mix("round_trip", count(link.liveness().round_trip()));
  tape.mix("resumes", counters.resumes);
  tape.mix("carriers_lost", counters.carriers_lost);
  tape.mix("carriers_barren", counters.carriers_barren);
  tape.mix("outage", count(counters.outage));
  link.for_each_stream(now, [&](StreamHandle handle, const StreamSummary& summary) {
    tape.mix("stream", handle.id.value);
    put_summary(tape, summary);
  });
}

void put_decision(Tape& tape, const LinkRegistry::Decision& decision,
                  const std::function<std::uint64_t(const Link&)>& index_of) {
  tape.out("decision (its place among Decision's)", decision.index());
  std::visit(overloaded{
                 [&](const LinkRegistry::Accepted& accepted) {
                   tape.out("created", accepted.created);
                   tape.out("link", index_of(*accepted.link));
                 },
                 [&](const LinkRegistry::Refused& refused) {
                   tape.out("cause", code(refused.cause));
                   tape.mix("retry_after", count(refused.retry_after));
                 },
                 [&](const LinkRegistry::Unknown&) {},
                 [&](const LinkRegistry::Stale&) {},
                 [&](const LinkRegistry::Waiting&) {},
             },
             decision);
}

void put_opened(Tape& tape, const Result<StreamHandle>& opened) {
  tape.out("opened", opened.ok());
  if (opened) return put_handle(tape, *opened);
  const std::string& why = opened.error().message;
  tape.mix("error", Bytes(reinterpret_cast<const std::uint8_t*>(why.data()), why.size()));
}

void put_registry(Tape& tape, const LinkRegistry& registry) {
  tape.mix("links", registry.size());
  tape.mix("next_timeout", count(registry.next_timeout()));
  tape.check();
}

}  // namespace holdfast::record
