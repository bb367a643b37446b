// What time does to a link.
#include <algorithm>

#include "common/core/link.h"

namespace holdfast {

Time Link::next_timeout() const {
  Time next = kNever;
  auto at = [&next](Time time) { next = std::min(next, time); };
  if (auto* greeting = std::get_if<Greeting>(&state_)) {
    if (!greeting->impatient) at(greeting->impatient_at);
    at(greeting->unanswered_at);
    at(greeting->moved_at + options_.handshake_timeout);
  }
  if (live()) at(liveness_.next_timeout());
  at(first_bytes_.next_look());
  if (standby_) at(standby_->until);
  if (auto* leaving = std::get_if<Leaving>(&state_)) {
    at(leaving->flushed ? leaving->close_at : leaving->flush_until);
  }
  if (sending()) at(outbox_.ack_deadline());
  if (!live()) {
    at(grace_deadline_);
    at(service_deadline_);
  }
  if (!open_deadlines_.empty()) at(open_deadlines_.front().at + options_.open_timeout);
  if (live() && !lingers_.empty()) at(lingers_.front().at);
  if ((live() && outbox_.has_opens()) || order_.holds_connects()) at(order_.look_at());
  return next;
}

void Link::timeout(Time now) {
  if (standby_ && now >= standby_->until) use_standby(now);
  first_bytes_.looked(now);
  timeout_greeting(now);
  timeout_liveness(now);
  timeout_leaving(now);
  timeout_grace(now);
  timeout_opens(now);
  timeout_linger(now);
  if (now >= outbox_.ack_deadline() && sending()) outbox_.acks_due();
  if (now >= order_.look_at()) {
    order_.looked();  // the next gather looks after the OPENs
    settle_connects(now);
  }
}

void LinkBody::timeout_greeting(Time now) {
  auto* greeting = std::get_if<Greeting>(&state_);
  if (greeting == nullptr) return;
  if (now >= greeting->impatient_at) greeting->impatient = true;
  // An answer that is large, with what waits behind it, is swallowed as a whole.
  if (now >= greeting->unanswered_at) {
    greeting->unanswered_at = kNever;
    if (first_bytes_.passed() && first_bytes_.unanswered(FirstBytes::Asked::greeting))
      become_barren(now);
  }
  if (now < greeting->moved_at + options_.handshake_timeout) return;
  greeting_failed(*greeting);
  drop_carrier(now, Cause::handshake_timeout, Socket::must_close);
}

void LinkBody::timeout_liveness(Time now) {
  if (!live()) return;
  switch (liveness_.timeout(now)) {
    case Liveness::Action::none:
      return;
    case Liveness::Action::suspect:  // wants_carrier() tells
      if (client() && !streams_.empty() && liveness_.passed() && first_bytes_.unanswered()) {
        become_barren(now);
      }
      return;
    case Liveness::Action::ping:
      ping_due_ = true;
      return;
    case Liveness::Action::verify:
      return push(effect::VerifyCarrier{carrier()});
  }
}

void LinkBody::timeout_leaving(Time now) {
  auto* leaving = std::get_if<Leaving>(&state_);
  if (leaving == nullptr) return;
  if (now >= leaving->flush_until) leaving->flushed = true;
  if (now < leaving->close_at) return;
  become_ended(now, leaving->reason);
}

// Rule 5. Whichever is processed first wins: a WELCOME or HELLO that comes later finds nothing.
void LinkBody::timeout_grace(Time now) {
  if (live() || std::holds_alternative<Leaving>(state_)) return;
  if (now >= grace_deadline_) return become_ended(now, Cause::grace_expired);
  if (now < service_deadline_) return;
  service_deadline_ = kNever;
  for (SlotIndex slot = streams_.first(); slot != kNoSlot;) {
    SlotIndex following = streams_.next(slot);
    const StreamRecord& record = streams_[slot];
    Time own = detached_since_ + options_.services[record.service].grace;
    if (record.ever_sent && record.reset == ResetState::none && own < grace_deadline_) {
      if (now >= own) {
        reset_stream(now, slot, Cause::grace_expired);
      } else {
        service_deadline_ = std::min(service_deadline_, own);
      }
    }
    slot = following;
  }
}

// An application that was accepted while nobody could be asked waits only so long: as long as is
// configured now, whatever was when it came.
void LinkBody::timeout_opens(Time now) {
  while (!open_deadlines_.empty() && now >= open_deadlines_.front().at + options_.open_timeout) {
    StreamHandle stream = open_deadlines_.front().stream;
    open_deadlines_.pop_front();
    const StreamRecord* record = find(stream);
    if (record != nullptr && !record->ever_sent) {
      reset_stream(now, stream.slot, Cause::open_timeout);
    }
  }
}

// Rule 9: an ABORT is held up neither by an application that does not read nor by a lost ack.
void LinkBody::timeout_linger(Time now) {
  while (live() && !lingers_.empty() && now >= lingers_.front().at) {
    StreamHandle stream = lingers_.front().stream;
    lingers_.pop_front();
    const StreamRecord* record = find(stream);
    if (record == nullptr) continue;
    if (linger_progress(*record) != record->linger_mark) {
      start_linger(now, stream.slot);
    } else {
      reset_stream(now, stream.slot, Cause::linger_timeout);
    }
  }
}

}  // namespace holdfast
