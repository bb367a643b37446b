#include "common/core/open_order.h"

#include <algorithm>

namespace holdfast {
namespace {

// Talkers that are through and are let stand before they are swept out.
constexpr std::size_t kSpareTalkers = 64;
// At the server, of one link. Beyond them there is no order: a client that makes thousands wait
// makes them cost a look each.
constexpr std::size_t kMostEndings = 256;
constexpr std::size_t kMostConnects = 256;

}  // namespace

void OpenOrder::note_talker(SlotIndex slot) {
  StreamRecord& record = streams_[slot];
  if (record.talks || options_.role != LinkOptions::Role::client) return;
  if (talkers_.size() >= 2 * streams_.size() + kSpareTalkers) {
    std::erase_if(talkers_,
                  [this](const StreamHandle& each) { return streams_.find(each) == nullptr; });
  }
  record.talks = true;
  talkers_.push_back(streams_.handle(slot));
}

void OpenOrder::note_read(Time now, SlotIndex slot, std::size_t size) {
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
Time OpenOrder::flows_until(const StreamRecord& record) {
  if (record.send.ended()) return {};
  if (!record.drained) return kNever;
  if (record.burst < tuning::kSocketful) return {};
  return Time(Duration(record.read_at_us)) + tuning::kPause;
}

bool OpenOrder::same_service(const StreamRecord& one, const StreamRecord& other) const {
  if (one.service != other.service) return false;
  return !options_.services[one.service].by_destination || one.destination == other.destination;
}

bool OpenOrder::follows(Time now, SlotIndex opening, Time live_since, Duration round_trip) {
  const StreamRecord& record = streams_[opening];
  Time since = std::max(Time(Duration(record.opened_at_us)), live_since);
  Duration patience = 2 * round_trip + tuning::kFollowCredit;
  look_at_ = kNever;
  // Of interactive streams no more than the others' room was left: they go on in a moment.
  if (outbox_.has_data(DataList::interactive) && now < since + tuning::kFollowBytes) return true;
  if (follower_ != record.stream()) look_ahead(now, record);
  std::erase_if(ahead_, [&](Ahead& each) { return !still_ahead(now, each, since, patience); });
  return !ahead_.empty();
}

void OpenOrder::look_ahead(Time now, const StreamRecord& opening) {
  follower_ = opening.stream();
  ahead_.clear();
  std::erase_if(talkers_, [&](const StreamHandle& each) {
    StreamRecord* record = streams_.find(each);
    if (record == nullptr) return true;
    bool flows = now < flows_until(*record);
    if (!flows && record->send.all_taken()) {
      record->talks = false;
      return true;
    }
    if (each.id < opening.stream() && same_service(*record, opening)) {
      ahead_.push_back(
          {each, flows, std::min(record->send.committed(), record->send.limit()), 0, now});
    }
    return false;
  });
}

// Says by look_at() when to look again, though nothing happens.
bool OpenOrder::still_ahead(Time now, Ahead& ahead, Time since, Duration credit_patience) {
  const StreamRecord* record = streams_.find(ahead.stream);
  if (record == nullptr || record->reset == ResetState::waiting) return false;
  if (record->receive.aborts()) return false;
  const SendHalf& send = record->send;
  bool ended = send.ended();
  if (ended && send.all_taken()) return false;
  Time until = since + (ended ? tuning::kFollowEnds : tuning::kFollowBytes);
  if (!ended) {
    if (record->burst > tuning::kFollowBurst) return false;
    if (ahead.flows && now >= flows_until(*record)) {
      ahead.flows = false;
      ahead.until = send.committed();
    }
    if (ahead.flows) until = std::min(until, flows_until(*record));
    if (!ahead.flows && send.next() >= ahead.until) return false;
  }
  std::uint64_t position = send.acked() + send.next() + send.committed();
  if (position != ahead.position) {
    ahead.position = position;
    ahead.moved_at = now;
  }
  bool credit_missing = send.unsent_bytes() != 0 ? !record->sendable() : !record->drained;
  if (credit_missing) {
    until = std::min(until, ahead.moved_at + credit_patience);
  }
  if (now >= until) return false;
  look_at_ = std::min(look_at_, until);
  return true;
}

// --- At the server --------------------------------------------------------------------------

void OpenOrder::note_ending(SlotIndex slot) {
  if (options_.role == LinkOptions::Role::client) return;
  if (endings_.size() >= kMostEndings) forget_endings();
  if (endings_.size() < kMostEndings) endings_.push_back(streams_.handle(slot));
}

// Those that their targets have got.
void OpenOrder::forget_endings() {
  std::erase_if(endings_, [this](const StreamHandle& each) { return end_through(each); });
}

bool OpenOrder::end_through(StreamHandle stream) const {
  const StreamRecord* record = streams_.find(stream);
  return record == nullptr || record->receive.discarding() || record->receive.all_delivered();
}

bool OpenOrder::connects_now(Time now, SlotIndex slot) {
  Connect connect{streams_.handle(slot), {}, now, 0, now};
  bool room = connects_.size() < kMostConnects;
  if (!room || !still_held(now, connect)) return true;
  connects_.push_back(connect);
  return false;
}

// The newest end of an older stream of the service that its target has not got yet.
bool OpenOrder::find_ending(Connect& connect) {
  forget_endings();
  const StreamRecord* opening = streams_.find(connect.stream);
  connect.behind = {};
  for (const StreamHandle& each : endings_) {
    if (each.id < connect.stream.id && each.id > connect.behind.id &&
        same_service(*streams_.find(each), *opening)) {
      connect.behind = each;
    }
  }
  return connect.behind.id != StreamId{};
}

// Says by look_at() when to look again, though nothing happens.
bool OpenOrder::still_held(Time now, Connect& connect) {
  if (end_through(connect.behind) && !find_ending(connect)) return false;
  std::uint64_t position = streams_.find(connect.behind)->receive.delivered();
  if (position != connect.position) {
    connect.position = position;
    connect.moved_at = now;
  }
  Time until =
      std::min(connect.since + tuning::kFollowEnds, connect.moved_at + tuning::kFollowCredit);
  if (now >= until) return false;
  look_at_ = std::min(look_at_, until);
  return true;
}

// Those of one service go in order: while one is held, so are all after it. Only the first of them
// may find that nothing moves: the others' turn has not come.
std::vector<StreamHandle> OpenOrder::settle_connects(Time now) {
  std::vector<StreamHandle> due;
  if (connects_.empty()) return due;
  look_at_ = kNever;
  std::vector<StreamHandle> held;  // the first of each service
  bool released = false;
  std::erase_if(connects_, [&](Connect& each) {
    const StreamRecord* found = streams_.find(each.stream);
    if (found == nullptr || !found->wants_target()) return true;
    const StreamRecord& opening = *found;
    bool turn = std::none_of(held.begin(), held.end(), [&](const StreamHandle& first) {
      return same_service(*streams_.find(first), opening);
    });
    if (!turn && now < each.since + tuning::kFollowEnds) return false;
    if (released) each.moved_at = now;
    if (turn && still_held(now, each)) {
      held.push_back(each.stream);
      return false;
    }
    released = true;
    due.push_back(each.stream);
    return true;
  });
  return due;
}

}  // namespace holdfast
