// How a link ends, and begins anew.
#include "common/base/store_order.h"
#include "common/core/link.h"

namespace holdfast {

void LinkBody::reset_all_streams(Time now, Cause cause, Unsent unsent) {
  for (SlotIndex slot = streams_.first(); slot != kNoSlot;) {
    SlotIndex following = streams_.next(slot);
    StreamRecord& record = streams_[slot];
    if (unsent == Unsent::goes || record.ever_sent) {
      record.cause = end_of(record, cause);
      give_up_socket(record);
      free_stream(now, slot);
    }
    slot = following;
  }
}

void LinkBody::become_ended(Time now, Cause cause) {
  if (ended()) return;
  release_standby();
  bool leaving = std::holds_alternative<Leaving>(state_);
  drop_carrier(now, cause, Socket::must_close);
  if (!client()) place_->life = LinkRecord::Life::over;
  state_ = Ended{cause};
  grace_deadline_ = kNever;
  service_deadline_ = kNever;
  // Rule 4: what the peer never saw can move on, unless it was we who left.
  bool moves_on = client() && (!leaving || cause == Cause::protocol);
  reset_all_streams(now, cause, moves_on ? Unsent::stays : Unsent::goes);
  trace_.note(now, TraceEvent::Kind::link_ended, 0, cause);
  push(effect::LinkEnded{cause});
}

void LinkBody::violation(Time now, std::string what) {
  detail_ = std::move(what);
  release_standby();
  if (live()) {
    CarrierId last = carrier();
    // The streams go at once; the peer is told why by the last frame.
    state_ = Leaving{.carrier = last,
                     .reason = Cause::protocol,
                     .flush_until = now,
                     .close_at = now + tuning::kGoodbyeWrite,
                     .flushed = true};
    reset_all_streams(now, Cause::protocol, client() ? Unsent::stays : Unsent::goes);
  } else {
    become_ended(now, Cause::protocol);
  }
}

bool LinkBody::violated(Time now, std::string what) {
  violation(now, std::move(what));
  return false;
}

void Link::goodbye(Time now, Cause reason) {
  if (ended() || std::holds_alternative<Leaving>(state_)) return;
  place_->life = LinkRecord::Life::over;
  keep_store_order();
  release_standby();
  if (!live()) {
    // A greeting's: the link was not up, so no LinkDown.
    drop_carrier(now, reason, Socket::must_close);
    state_ = Leaving{
        .carrier = {}, .reason = reason, .flush_until = now, .close_at = now, .flushed = true};
    return become_ended(now, reason);
  }
  for (SlotIndex slot = streams_.first(); slot != kNoSlot;) {
    SlotIndex following = streams_.next(slot);
    StreamRecord& record = streams_[slot];
    if (!record.send.ended() || record.open_state == OpenState::queued) {
      record.cause = end_of(record, reason);
      give_up_socket(record);
      free_stream(now, slot);
    }
    slot = following;
  }
  Time flush_until = now + tuning::kGoodbyeFlush;
  state_ = Leaving{.carrier = carrier(),
                   .reason = reason,
                   .flush_until = flush_until,
                   .close_at = flush_until + tuning::kGoodbyeWrite};
}

void Link::end(Time now, Cause cause) {
  auto* leaving = std::get_if<Leaving>(&state_);
  place_->life = LinkRecord::Life::over;
  become_ended(now, leaving != nullptr ? leaving->reason : cause);
}

void Link::drain(Time) {
  HOLDFAST_CHECK(!client());
  if (draining_) return;
  draining_ = true;
  drain_due_ = live();
}

void Link::reconnect(Time now, Cause cause) {
  release_standby();
  if (live() || std::holds_alternative<Greeting>(state_)) {
    drop_carrier(now, cause, Socket::must_close);
  }
}

// Rule 4: streams whose OPEN was never written move to the new link.
void Link::renew(Time now, LinkId id) {
  HOLDFAST_CHECK(client() && ended());
  id_ = id;
  instance_ = 0;
  attempt_ = 0;
  forgotten_ = false;
  ordinal_ += 1;
  server_name_.clear();
  home_ = {};
  draining_ = false;
  initial_credit_ = 0;
  peer_max_streams_ = UINT32_MAX;
  failed_greetings_ = mute_greetings_ = 0;
  detached_since_ = now;
  lost_since_ = kNever;
  state_ = Detached{};
  clear_lists();
  keep_facts();
}

}  // namespace holdfast
