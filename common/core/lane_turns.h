// Which lanes of a client's link may dial when several have long tables to greet with.
//
// After an outage all lanes greet, and each table that is longer than some packets fills the path
// that all of them share: on a slow one eight at once make each other's handshakes fail, and nobody
// is ever through. So those with long tables take turns. When one was answered soon the path is not
// slow, and the others greet all at once. Lanes with short tables never wait.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/time.h"

namespace holdfast {

class LaneTurns {
 public:
  // A lane that takes part, in the order of turns.
  struct Lane {
    std::string_view name;
    bool greeting = false;  // its HELLO is on its way
    Duration round_trip{};  // of its path, as far as it is known
  };

  // These have a long table and no carrier that is live. Call it whenever that may have changed,
  // and at next_timeout().
  void look(Time now, const std::vector<Lane>& waiting);
  // May one of them dial?
  bool may(Time now, std::string_view name) const { return now < free_until_ || name == holder_; }
  Time next_timeout() const { return next_; }

 private:
  void pass_to(Time now, const Lane& lane);

  std::string holder_;
  Time since_{};                  // it is its turn
  Time greeting_since_ = kNever;  // it greets
  Time free_until_{};
  Time next_ = kNever;
};

}  // namespace holdfast
