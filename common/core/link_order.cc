// What an OPEN follows: bytes and ends of older streams of the same service, so that who waits for
// one connection's end before it takes the next (a printer, a controller with one seat) meets them
// in the order in which the application made them. It follows what was read from the applications,
// or is being read, and has credit. It never waits for credit that does not come, nor long.
//
// Ids rise on the wire (rule 7), so the OPENs behind one that waits do so, too. At the server the
// same holds between an end that came and the connect of an OPEN that came after it.
#include <algorithm>

#include "common/core/link.h"

namespace holdfast {
namespace {

// Talkers that are through and are let stand before they are swept out.
constexpr std::size_t kSpareTalkers = 64;
// At the server, of one link. Beyond them there is no order: a client that makes thousands wait
// makes them cost a look each.
constexpr std::size_t kMostEndings = 256;
constexpr std::size_t kMostConnects = 256;

}  // namespace

void Link::note_talker(SlotIndex slot) {
  StreamRecord& record = streams_[slot];
  if (!client() || record.talks) return;
  if (order_.talkers.size() >= 2 * streams_.size() + kSpareTalkers) {
    std::erase_if(order_.talkers,
                  [this](const StreamHandle& each) { return find(each) == nullptr; });
  }
  record.talks = true;
  order_.talkers.push_back(handle(slot));
}

void Link::note_read(Time now, SlotIndex slot, std::size_t size) {
  StreamRecord& record = streams_[slot];
  if (size != 0) {
    bool paused = record.drained && now >= Time(Duration(record.read_at_us)) + tuning::kPause;
    record.burst = paused ? size : record.burst + size;
    record.read_at_us = now.time_since_epoch().count();
  }
  record.drained = size < record.offered;
  if (!record.drained) note_talker(slot);
}

// Until when more of its application's bytes are on their way here, as far as can be told.
Time Link::flows_until(const StreamRecord& record) {
  if (record.own_end != EndMark::none) return {};
  if (!record.drained) return kNever;
  if (record.burst < tuning::kSocketful) return {};
  return Time(Duration(record.read_at_us)) + tuning::kPause;
}

bool Link::same_service(const StreamRecord& one, const StreamRecord& other) const {
  if (one.service != other.service) return false;
  return !options_.services[one.service].by_destination || one.destination == other.destination;
}

// Is this OPEN, the first of those that wait, to be held back?
bool Link::follows(Time now, SlotIndex opening) {
  const StreamRecord& record = streams_[opening];
  Time since = std::max(Time(Duration(record.opened_at_us)), live_since_);
  order_.look_at = kNever;
  // Of interactive streams no more than the others' room was left: they go on in a moment.
  if (!interactive_.empty() && now < since + tuning::kFollowBytes) return true;
  if (order_.follower != record.stream()) look_ahead(now, record);
  std::erase_if(order_.ahead,
                [&](OpenOrder::Ahead& each) { return !still_ahead(now, each, since); });
  return !order_.ahead.empty();
}

void Link::look_ahead(Time now, const StreamRecord& opening) {
  order_.follower = opening.stream();
  order_.ahead.clear();
  std::erase_if(order_.talkers, [&](const StreamHandle& each) {
    StreamRecord* record = find(each);
    if (record == nullptr) return true;
    bool flows = now < flows_until(*record);
    if (!flows && record->next >= record->sequence_end()) {
      record->talks = false;
      return true;
    }
    if (each.id < opening.stream() && same_service(*record, opening)) {
      order_.ahead.push_back(
          {each, flows, std::min(record->committed, record->send_limit), 0, now});
    }
    return false;
  });
}

// Says by look_at when to look again, though nothing happens.
bool Link::still_ahead(Time now, OpenOrder::Ahead& ahead, Time since) {
  const StreamRecord* record = find(ahead.stream);
  if (record == nullptr || record->reset == ResetState::waiting) return false;
  if (has_abort(record->peer_end)) return false;
  bool ended = record->own_end != EndMark::none;
  if (ended && record->next >= record->sequence_end()) return false;
  Time until = since + (ended ? tuning::kFollowEnds : tuning::kFollowBytes);
  if (!ended) {
    if (record->burst > tuning::kFollowBurst) return false;
    if (ahead.flows && now >= flows_until(*record)) {
      ahead.flows = false;
      ahead.until = record->committed;
    }
    if (ahead.flows) until = std::min(until, flows_until(*record));
    if (!ahead.flows && record->next >= ahead.until) return false;
  }
  std::uint64_t position = record->acked + record->next + record->committed;
  if (position != ahead.position) {
    ahead.position = position;
    ahead.moved_at = now;
  }
  bool credit_missing = record->next < record->committed ? !sendable(*record) : !record->drained;
  if (credit_missing) {
    Duration patience = 2 * liveness_.round_trip() + tuning::kFollowCredit;
    until = std::min(until, ahead.moved_at + patience);
  }
  if (now >= until) return false;
  order_.look_at = std::min(order_.look_at, until);
  return true;
}

// --- At the server --------------------------------------------------------------------------

void Link::note_ending(SlotIndex slot) {
  if (client()) return;
  if (order_.endings.size() >= kMostEndings) forget_endings();
  if (order_.endings.size() < kMostEndings) order_.endings.push_back(handle(slot));
}

// Those that their targets have got.
void Link::forget_endings() {
  std::erase_if(order_.endings, [this](const StreamHandle& each) { return end_through(each); });
}

bool Link::end_through(StreamHandle stream) {
  const StreamRecord* record = find(stream);
  return record == nullptr || record->discarding() || record->delivered == record->received;
}

void Link::connect_in_order(Time now, SlotIndex slot) {
  OpenOrder::Connect connect{handle(slot), {}, now, 0, now};
  bool room = order_.connects.size() < kMostConnects;
  if (!room || !still_held(now, connect)) return push(effect::ConnectTarget{connect.stream});
  order_.connects.push_back(connect);
}

// The newest end of an older stream of the service that its target has not got yet.
bool Link::find_ending(OpenOrder::Connect& connect) {
  forget_endings();
  const StreamRecord* opening = find(connect.stream);
  connect.behind = {};
  for (const StreamHandle& each : order_.endings) {
    if (each.id < connect.stream.id && each.id > connect.behind.id &&
        same_service(*find(each), *opening)) {
      connect.behind = each;
    }
  }
  return connect.behind.id != StreamId{};
}

// Says by look_at when to look again, though nothing happens.
bool Link::still_held(Time now, OpenOrder::Connect& connect) {
  if (end_through(connect.behind) && !find_ending(connect)) return false;
  std::uint64_t position = find(connect.behind)->delivered;
  if (position != connect.position) {
    connect.position = position;
    connect.moved_at = now;
  }
  Time until =
      std::min(connect.since + tuning::kFollowEnds, connect.moved_at + tuning::kFollowCredit);
  if (now >= until) return false;
  order_.look_at = std::min(order_.look_at, until);
  return true;
}

// Those of one service go in order: while one is held, so are all after it. Only the first of them
// may find that nothing moves: the others' turn has not come.
void Link::settle_connects(Time now) {
  if (order_.connects.empty()) return;
  order_.look_at = kNever;
  std::vector<StreamHandle> held;  // the first of each service
  bool released = false;
  std::erase_if(order_.connects, [&](OpenOrder::Connect& each) {
    if (!wants_target(each.stream)) return true;
    const StreamRecord& opening = *find(each.stream);
    bool turn = std::none_of(held.begin(), held.end(), [&](const StreamHandle& first) {
      return same_service(*find(first), opening);
    });
    if (!turn && now < each.since + tuning::kFollowEnds) return false;
    if (released) each.moved_at = now;
    if (turn && still_held(now, each)) {
      held.push_back(each.stream);
      return false;
    }
    released = true;
    push(effect::ConnectTarget{each.stream});
    return true;
  });
}

}  // namespace holdfast
