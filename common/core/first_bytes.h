// FirstBytes: does a fresh carrier deliver anything?
//
//   fresh --two segments acked, or all of more than one--> delivers
//     |                                                       |
//     +-- a large write sent again twice, --> barren <--------+ (no answer comes, see below)
//         next to nothing acked
//
// A path may swallow large packets without a word (a tunnel that drops what does not fit, and no
// ICMP): every carrier on it is established, small frames pass, and the first full segment is sent
// again for ever. To one carrier that looks like an outage; but the next one stands at once, and
// goes the same way. The other way round our own bytes pass, the peer's kernel has our question and
// no answer comes: a peer that is slow looks the same, so that counts only the second time.
//
// What to do about it (smaller segments, whose size is agreed when a carrier is dialled) is the
// owner's.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "common/core/path_report.h"
#include "common/core/tuning.h"

namespace holdfast {

class FirstBytes {
 public:
  enum class News : std::uint8_t { none, delivers, barren };

  // A carrier begins to carry the link; or none does.
  void start();
  void stop();
  // So much was handed to it.
  void wrote(Time now, std::size_t bytes);

  // The kernel's report is wanted at once, for its counts as they are at the start.
  bool unreported() const { return fresh_ && !first_; }
  // ... or when this time comes; kNever while all that is under way would fit a small segment.
  Time next_look() const { return fresh_ ? look_at_ : kNever; }
  // It has come, with a report or without.
  void looked(Time now);
  News report(Time now, const PathReport& path);
  // The peer's kernel has our question, or our greeting, and no answer has come. True: so the
  // carrier is barren.
  enum class Asked : std::uint8_t { question, greeting };
  bool unanswered(Asked asked = Asked::question);
  // All that was handed to it has reached the peer's kernel.
  bool passed() const { return first_ && passed_; }
  // A question was answered.
  void answered() { shown_ = 0; }

  // Barren carriers in a row, and the same for people: none once a question was answered.
  std::uint32_t times() const { return times_; }
  // Those of them that show a path to be slow rather than something in between to be mute.
  std::uint32_t slow_times() const { return times_ - mute_; }
  std::uint32_t shown() const { return shown_; }

 private:
  News become_barren();

  bool fresh_ = false;
  bool delivers_ = false;
  std::optional<PathReport> first_;
  std::uint64_t received_ = 0;  // since then
  std::uint64_t segment_ = 0;
  std::uint64_t under_way_ = 0;  // at most, since all was acked last
  Time look_at_ = kNever;
  std::uint32_t times_ = 0;
  std::uint32_t shown_ = 0;
  std::uint32_t mute_ = 0;        // of times_: greetings
  std::uint32_t unanswered_ = 0;  // carriers in a row
  bool counted_ = false;          // this one among them
  bool passed_ = false;
  std::uint32_t timeouts_ = 0;  // of a large packet, while nothing is delivered
  std::uint32_t earlier_ = 0;   // those of the carrier before, if it ended so
};

}  // namespace holdfast
