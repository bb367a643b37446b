// What the kernel says of a carrier's path, and what follows for its link.
#include <algorithm>

#include "common/core/link.h"

namespace holdfast {

void Link::path_report(Time now, CarrierId of, const PathReport& path) {
  if (of != carrier()) return;
  if (auto* greeting = std::get_if<Greeting>(&state_)) {
    // The peer's bytes count after a gap as well: it answers, and says nothing before all of a long
    // table is there.
    PathReport answer = path;
    answer.received_ago = {};
    if (liveness_.moves(answer)) greeting_moves(now, *greeting);
  } else if (live()) {
    Time since = outage_since();
    liveness_.report(now, path);
    if (since != kNever && !silent()) silence_over(now, since);
  } else {
    return;
  }
  switch (first_bytes_.report(now, path)) {
    case FirstBytes::News::none:
      return;
    case FirstBytes::News::delivers:
      return liveness_.be_patient(0);
    case FirstBytes::News::barren:
      return become_barren(now);
  }
}

void LinkBody::start_first_bytes() {
  first_bytes_.start();
  liveness_.be_patient(std::min(first_bytes_.slow_times(), tuning::kBarrenDoublings));
}

// It is no use waiting for its answers.
void LinkBody::become_barren(Time now) {
  counters_.carriers_barren += 1;
  push(effect::Barren{carrier(), first_bytes_.times()});
  if (!client()) return;
  if (auto* greeting = std::get_if<Greeting>(&state_)) {
    greeting->impatient = true;
  } else if (liveness_.give_up(now)) {
    ping_due_ = true;
  }
}

bool Link::wants_report(Time now) const {
  return !live() || liveness_.wants_report(now) || first_bytes_.next_look() != kNever;
}

bool Link::unreported() const {
  bool wanted =
      first_bytes_.unreported() || (liveness_.unreported() && (!live() || liveness_.questioned()));
  return wanted && carrier() != CarrierId{};
}

// One of which nothing got through says that there is no way, not that it is slow.
void LinkBody::greeting_failed(const Greeting& greeting) {
  if (greeting.moved) failed_greetings_ += 1;
}

// An answer on its way is worth waiting for, and so are tables that take long on a slow path.
void LinkBody::greeting_moves(Time now, Greeting& greeting) {
  greeting.impatient = false;
  greeting.impatient_at = std::max(greeting.impatient_at, now + liveness_.patience());
  greeting.moved_at = now;
  greeting.unanswered_at = now + greeting.answer_in;
  greeting.moved = true;
}

}  // namespace holdfast
