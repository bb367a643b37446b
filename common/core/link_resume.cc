// Resuming: an exchange of two tables. Rules 2 to 4 and 10 to 13.
#include <algorithm>

#include "common/core/hello_reader.h"
#include "common/core/link.h"
#include "common/core/service_grants.h"

namespace holdfast {
namespace {

// Appends `chunk` to `table`, holding it to strictly rising ids and at most `most` entries. Gives
// the reason if it does not, or "".
std::string add_table_entries(std::vector<TableEntry>& table, const TableChunk& chunk,
                              std::uint32_t most) {
  for (std::size_t i = 0; i < chunk.count(); ++i) {
    TableEntry entry = chunk.entry(i);
    if (table.size() >= most) return "table of more streams than the limit";
    if (entry.id.value == 0 || (!table.empty() && entry.id <= table.back().id)) {
      return "table out of order";
    }
    table.push_back(entry);
  }
  return {};
}

}  // namespace

// Our half of the exchange. What stands in it counts as announced and acked.
std::vector<TableEntry> LinkBody::make_table() {
  std::vector<TableEntry> table;
  table.reserve(streams_.size());
  for (SlotIndex slot = streams_.first(); slot != kNoSlot; slot = streams_.next(slot)) {
    StreamRecord& record = streams_[slot];
    if (client() && !record.ever_sent) continue;
    record.receive.raise_limit(receive_memory_);
    record.receive.announce();
    TableEntry entry;
    entry.id = record.stream();
    entry.received = record.receive.received();
    entry.delivered = record.receive.delivered();
    entry.limit = record.receive.limit_written();
    entry.opened = record.open_state == OpenState::open;
    table.push_back(entry);
  }
  return table;
}

void LinkBody::on_welcome(Time now, Welcome welcome) {
  auto refuse = [&](Cause cause, Duration retry_after) {
    failed_greetings_ += 1;
    push(effect::Refused{cause, retry_after});
    drop_carrier(now, cause, Socket::must_close);
  };
  if (welcome.version < kVersionMin || welcome.version > kVersionMax) {
    return refuse(Cause::version, {});
  }
  // Rule 4: another server says nothing about a link that its own may still hold streams of. One
  // without any begins anew with whoever answers.
  if (!server_name_.empty() && welcome.server != server_name_) {
    if (bound() || welcome.verdict != Verdict::unknown) return refuse(Cause::other_server, {});
    return become_ended(now, Cause::other_server);
  }
  switch (welcome.verdict) {
    case Verdict::refused:
      return refuse(welcome.code, welcome.retry_after);
    case Verdict::unknown:
      if (instance_ == 0) return refuse(Cause::protocol, {});
      forgotten_ = true;
      return become_ended(
          now, tells_how_a_link_ended(welcome.code) ? welcome.code : Cause::server_restarted);
    case Verdict::created:
    case Verdict::resumed:
      break;
  }
  bool other_instance = instance_ != 0 && welcome.instance != instance_;
  if (welcome.instance == 0 || other_instance) return refuse(Cause::stale, {});
  auto& greeting = std::get<Greeting>(state_);
  greeting.welcomed = true;
  greeting.welcome = std::move(welcome);
}

void LinkBody::on_table(Time now, const TableChunk& chunk) {
  auto& greeting = std::get<Greeting>(state_);
  std::string reason = add_table_entries(greeting.table, chunk, options_.max_streams);
  if (reason.empty() && !chunk.last && chunk.count() == 0) reason = "empty table chunk";
  if (!reason.empty()) return violation(now, std::move(reason));
  if (!chunk.last) return;
  greeting.highest = chunk.highest;
  apply_welcome(now);
}

void LinkBody::apply_welcome(Time now) {
  Greeting greeting = std::move(std::get<Greeting>(state_));
  const Welcome& welcome = greeting.welcome;
  Standing standing = instance_ != 0 ? Standing::resumed : Standing::created;
  instance_ = welcome.instance;
  server_name_ = welcome.server;
  home_ = welcome.home;
  options_.grace = welcome.grace;
  graces_ = welcome.services;
  note_grants(welcome, options_.services, graces_);
  for (LinkService& service : options_.services) service.grace = agreed_grace(service);
  if (welcome.heartbeat != Duration{}) options_.heartbeat = welcome.heartbeat;
  if (welcome.dead_after != Duration{}) options_.dead_after = welcome.dead_after;
  initial_credit_ = std::min(welcome.initial_credit, kMaxLimit);
  peer_max_streams_ = welcome.max_streams;
  keep_facts();
  // A path without a measured round trip: the greeting's own is one.
  Duration round_trip = liveness_.round_trip();
  if (round_trip == Duration{}) round_trip = now - greeting.since;
  state_ = Live{greeting.carrier};
  liveness_.start(now, options_.heartbeat, options_.dead_after, round_trip);
  if (!apply_table(now, greeting.highest, greeting.table)) return;
  become_live(now, greeting.carrier, standing);
  refuse_over_limit(now);
  // A server that watches targets says in a moment which are down.
  if ((welcome.features & kFeatureServicesDown) == 0) on_services_down({});
}

// Rule 7: what was written stays, what waits may not be more than the server takes now.
void LinkBody::refuse_over_limit(Time now) {
  std::size_t room = peer_max_streams_;
  for (SlotIndex slot = streams_.first(); slot != kNoSlot; slot = streams_.next(slot)) {
    if (streams_[slot].ever_sent && room > 0) room -= 1;
  }
  for (SlotIndex slot = outbox_.first_open(); slot != kNoSlot;) {
    SlotIndex following = outbox_.next_open(slot);
    if (!streams_[slot].ever_sent) {
      if (room == 0) {
        reset_stream(now, slot, Cause::limit);
      } else {
        room -= 1;
      }
    }
    slot = following;
  }
}

// Rule 12, for every record of ours against the peer's table; both are in order of id.
bool LinkBody::apply_table(Time now, StreamId highest, const std::vector<TableEntry>& table) {
  if (client() && highest > last_id_) return violated(now, "table beyond the ids we assigned");
  std::size_t at = 0;
  for (SlotIndex slot = streams_.first(); slot != kNoSlot;) {
    SlotIndex following = streams_.next(slot);
    StreamId id = streams_[slot].stream();
    for (; at < table.size() && table[at].id < id; ++at) {
      if (client()) return violated(now, "table names a stream that we do not hold");
    }
    bool listed = at < table.size() && table[at].id == id;
    bool good = listed ? apply_entry(now, slot, table[at++]) : apply_absence(now, slot, highest);
    if (!good) return false;
    slot = following;
  }
  if (client() && at < table.size())
    return violated(now, "table names a stream that we do not hold");
  return true;
}

bool LinkBody::apply_entry(Time now, SlotIndex slot, const TableEntry& entry) {
  StreamRecord& record = streams_[slot];
  if (client() && !record.ever_sent) return violated(now, "table names a stream never opened");
  if (client()) {
    bool news = entry.opened && record.open_state != OpenState::open;
    // Once opened, always opened, whatever a later table says.
    bool open = entry.opened || record.open_state == OpenState::open;
    record.open_state = open ? OpenState::open : OpenState::sent;
    if (news && record.reset != ResetState::waiting) push(effect::Opened{handle(slot)});
  }
  if (record.reset == ResetState::waiting) return true;
  if (!record.send.takes_position(entry.delivered, entry.received)) {
    return violated(now, "table with offsets out of range");
  }
  if (!record.send.takes_limit(entry.limit)) {
    return violated(now, "table with a limit that shrinks or is absurd");
  }
  record.send.grant(entry.limit);
  record.send.rewind(send_memory_, entry.delivered, entry.received);
  return true;
}

bool LinkBody::apply_absence(Time now, SlotIndex slot, StreamId highest) {
  StreamRecord& record = streams_[slot];
  if (client() && !record.ever_sent) return true;
  if (client() && record.stream() > highest) {
    if (record.send.acked() != 0 || record.receive.received() != 0) {
      return violated(now, "table forgets a stream that was in use");
    }
    if (record.reset == ResetState::waiting) {
      free_stream(now, slot);  // rule 10(d)
      return true;
    }
    // The OPEN was lost: again, from the start.
    record.open_state = OpenState::queued;
    record.send.start_over();
    return true;
  }
  // Over for the peer.
  record.cause = end_of(record, Cause::peer_gone);
  give_up_socket(record);
  free_stream(now, slot);
  return true;
}

// A carrier carries the link: everything that waits is queued to be sent.
void LinkBody::requeue_all(Time now) {
  clear_lists();
  for (SlotIndex slot = streams_.first(); slot != kNoSlot;) {
    SlotIndex following = streams_.next(slot);
    StreamRecord& record = streams_[slot];
    if (client() && record.open_state == OpenState::queued) {
      // In the list of OPENs already.
    } else if (record.reset == ResetState::waiting) {
      outbox_.add_control(slot);
    } else if (!maybe_free(now, slot)) {
      schedule(slot);
      if (record.send.ended()) order_.note_talker(slot);
      owe_ack(now, slot);
      if (!record.receive.ack_is_out() || record.receive.discarding()) ack_now(slot);
      maybe_resume_reading(slot);
    }
    slot = following;
  }
}

}  // namespace holdfast
