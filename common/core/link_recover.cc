// A link after its process's death: see recovery.h.
#include "common/base/store_order.h"
#include "common/core/link.h"

namespace holdfast {

std::unique_ptr<Link> Link::recover(Time now, const LinkOptions& options, MemoryPool& pool,
                                    const OldState& state, const OldState::Link& old,
                                    SocketJudge& judge, Recovered& recovered) {
  auto link = std::make_unique<Link>(options, pool, old.facts.id, old.facts.instance);
  link->take_facts(*old.record, old.facts);
  for (const OldState::Stream& each : old.streams) {
    link->take_stream(now, state, old, each, judge, recovered);
  }
  bool was_live = old.record->detached_since > now;
  link->detached_since_ = was_live ? now : old.record->detached_since;
  link->lost_since_ = link->detached_since_;
  link->clear_lists();
  link->arm_grace();
  link->keep_facts();
  return link;
}

void LinkBody::take_facts(const LinkRecord& record, const LinkFacts& facts) {
  attempt_ = std::max(record.attempt, facts.attempt);
  last_id_ = record.highest;
  draining_ = record.draining;
  ordinal_ = facts.ordinal;
  initial_credit_ = facts.initial_credit;
  peer_max_streams_ = facts.peer_max_streams;
  (client() ? server_name_ : peer_name_) = client() ? facts.server : facts.client;
  home_ = {facts.home_name, facts.home_address};
  options_.slot = facts.slot;
  options_.start_id = facts.start_id;
  options_.grace = facts.grace;
  options_.heartbeat = facts.heartbeat;
  options_.dead_after = facts.dead_after;
  // Records name services by their places in the old list.
  options_.services.clear();
  for (const ServiceFact& each : facts.services) {
    options_.services.push_back(
        {.name = each.name, .grace = each.grace, .by_destination = each.by_destination});
    if (client() && each.grace != facts.grace) graces_.push_back({each.name, each.grace});
  }
  take_options(LinkOptions(wanted_));
}

namespace {

// What of a record is its socket's position, as the kernel knows it. Nothing: they disagree.
struct Positions {
  std::uint64_t committed = 0;
  std::uint64_t delivered = 0;
  bool corrected = false;
  SocketPosition::Life life = SocketPosition::Life::stands;
};

std::optional<Positions> positions_of(const StreamRecord& record, Intent::Operation under_way,
                                      SocketJudge& judge) {
  const SendHalf& send = record.send;
  const ReceiveHalf& receive = record.receive;
  Positions found{send.committed(), receive.delivered()};
  if (record.descriptor() < 0) return found;
  std::optional<SocketPosition> socket = judge.look(record, under_way);
  if (!socket) return std::nullopt;
  found.life = socket->life;
  if (socket->read != send.committed()) {
    bool reads = under_way == Intent::Operation::read && !send.ended();
    if (!reads || socket->read < send.committed()) return std::nullopt;
    found.committed = socket->read;
    found.corrected = true;
  }
  bool writes = under_way == Intent::Operation::write;
  // What a socket took that nothing connects any more is nobody's.
  bool stands = socket->life == SocketPosition::Life::stands;
  if (!socket->written) return writes && stands ? std::nullopt : std::optional(found);
  std::uint64_t bytes = std::min(receive.delivered(), receive.received_bytes());
  if (*socket->written != bytes) {
    bool fits = *socket->written > bytes && *socket->written <= receive.received_bytes();
    if (!writes || !fits) return std::nullopt;
    found.delivered = *socket->written;
    found.corrected = true;
  }
  return found;
}

// Nothing is told to its application any more, nor heard of it.
bool over_here(const StreamRecord& record) {
  return has_abort(record.send.end()) || record.reset == ResetState::waiting;
}

RecoveredStream::Socket fate_of(const StreamRecord& record, const StreamRecord& old,
                                SocketPosition::Life life) {
  using Life = SocketPosition::Life;
  using Socket = RecoveredStream::Socket;
  if (old.descriptor() < 0) return record.wants_target() ? Socket::connects : Socket::none;
  if (over_here(record) || record.receive.abort_delivered()) return Socket::resets;
  bool fin_out = record.receive.fin_delivered();
  if (fin_out && has_fin(record.send.end())) return Socket::closes;
  if (life == Life::reset_after_fin) return Socket::aborts_after_fin;
  if (old.latched || life == Life::reset) return Socket::aborts;
  return fin_out ? Socket::shuts_down : Socket::goes_on;
}

}  // namespace

void LinkBody::take_stream(Time now, const OldState& state, const OldState::Link& old_link,
                           const OldState::Stream& stream, SocketJudge& judge,
                           Recovered& recovered) {
  const StreamRecord& old = *stream.record;
  last_id_ = std::max(last_id_, old.stream());
  bool unsent = client() && !old.ever_sent;
  bool connecting = !client() && old.open_state == OpenState::connecting;
  bool gone = old.descriptor() < 0 && !connecting;
  // It was just being opened: its socket is nobody's yet.
  if (unsent && gone && !over_here(old)) return;
  // It was being reset before its OPEN left: rule 10(d) frees it without a frame.
  if (unsent && old.reset == ResetState::waiting) {
    if (!gone) recovered.over.push_back(old.descriptor());
    return;
  }
  auto lose = [&](const char* reason) {
    recovered.lost.push_back({old.descriptor(), reason, old.service, old.source});
  };
  if (old.version != kRecordVersion) return lose("a record of another version");
  if (old.service >= options_.services.size()) return lose("a service that nobody knows");
  if (streams_.find(old.stream()) != kNoSlot) return lose("an id twice");

  bool silent = over_here(old);
  Positions positions{old.send.committed(), old.receive.delivered()};
  if (!silent && !old.receive.abort_delivered()) {
    auto found = positions_of(old, state.under_way(old_link.index, stream.slot), judge);
    if (!found) return lose("its socket disagrees with its record");
    positions = *found;
  }
  if (client() ? !pool_.admit() : !admit_stream()) return lose("over a limit");

  SlotIndex slot = streams_.take();
  StreamRecord& record = streams_[slot];
  std::uint32_t generation = record.generation;
  record = old;
  record.generation = generation;
  record.id = record.former = 0;
  record.by_id = record.control = record.ack = record.data = {};
  record.control_list = ControlList::none;
  record.ack_state = AckState::none;
  record.data_list = DataList::none;
  record.reading = Reading::running;
  record.opened_unsent = record.talks = false;
  record.offered = 0;
  record.drained = true;
  record.descriptor_and_one = 0;
  record.send = {};
  record.receive = {};
  if (unsent) record.open_state = OpenState::queued;
  // Connected a moment before the death.
  if (connecting && old.descriptor() >= 0) record.open_state = OpenState::open;

  bool whole = record.receive.recover(receive_memory_, old.receive, positions.delivered, gone);
  bool dropped = silent ? record.reset == ResetState::waiting : record.receive.aborts();
  whole = whole && record.send.recover(send_memory_, old.send, state, old.id, old.former,
                                       positions.committed, dropped);
  if (unsent) record.send.unsend();
  if (whole && silent) record.receive.discard(receive_memory_);
  bool ended = silent || record.receive.abort_delivered() ||
               (record.receive.fin_delivered() &&
                (has_fin(record.send.end()) || (gone && record.receive.aborts())));
  if (!whole || (gone && !ended)) {
    release_memory(record);
    leave_pool();
    streams_.remove(slot);
    return lose(whole ? "its socket is gone" : "its record contradicts itself");
  }
  record.socket = ended ? SocketState::closed : SocketState::attached;
  RecoveredStream found{{slot, old.stream()},    old.descriptor(),
                        old.read_before,         old.written_before,
                        record.send.committed(), fate_of(record, old, positions.life),
                        record.send.ended()};
  // Until the driver has closed it, if it is to.
  if (old.descriptor() >= 0) record.own({old.descriptor(), old.read_before, old.written_before});
  streams_.add(slot, old.stream());
  recovered.corrected += positions.corrected ? 1 : 0;
  recovered.streams.push_back(found);
  if (record.open_state == OpenState::queued && unsent) {
    add_deadline(open_deadlines_, slot, Time(Duration(record.opened_at_us)));
  }
  if (has_abort(record.send.end())) start_linger(now, slot);
  if (found.socket == RecoveredStream::Socket::connects) push(effect::ConnectTarget{found.stream});
}

}  // namespace holdfast
