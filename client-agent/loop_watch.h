// LoopWatch: finds services whose targets lead back to the client agent's own listeners. All loops
// of a process have one; any thread.
//
// A server tells the mark of the connection that it made for a stream (connection_marks.h). If that
// connection was taken by a listener of ours, the stream's service feeds the listener's. Services
// that feed each other in a circle are a loop: each connection makes the next one, without end.
//
// A good connection must never be taken for one of a loop, and private addresses of two networks
// may agree. So, before a service is said to feed another one:
//  - a mark fits only a connection that was taken when it can have been made for the stream (some
//    time after that was opened), kNoted ago at most, or kLate after the mark at most;
//  - of the newest kSeen marks of the service, within kMemory, three quarters fit, and at least
//    four (eight, where ends are of private networks). In a loop every one does.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/time.h"
#include "common/tunnel/connection_marks.h"

namespace holdfast {

class LoopWatch {
 public:
  static constexpr Duration kNoted = seconds(10);
  static constexpr Duration kLate = milliseconds(250);
  static constexpr Duration kMemory = seconds(60);
  static constexpr std::size_t kSeen = 32;
  // So long a service of a loop takes no connections; its target may be mended meanwhile.
  static constexpr Duration kRefused = seconds(10);

  explicit LoopWatch(const MarkKey& key) : key_(key) {}

  const MarkKey& key() const { return key_; }

  // The services of a loop that was found, as people read them: "web -> db -> web".
  using Found = std::optional<std::string>;

  // The service's listener took this connection.
  Found accepted(std::string_view service, const Mark& mark, Time now);

  struct Answer {
    bool feeds = false;  // the connection is one that a listener of ours took
    bool loop = false;   // and the service is one of a loop
    Found found;
  };
  // For a stream of the service the server made the connection of this mark; `not_before` it was
  // opened, and its OPEN had time to get there.
  Answer connected(std::string_view service, std::uint64_t mark, Time not_before, Time now);

  // The service is one of a loop that was found: it takes no connections now.
  bool refuses(std::string_view service, Time now);

 private:
  using Index = std::uint32_t;
  static constexpr Index kNowhere = UINT32_MAX;
  // Of either kind as many as these are noted, by their marks; a newer one takes an older one's
  // place, and what is lost so is not found.
  static constexpr std::size_t kPlaces = 4096;

  struct Taken {
    std::uint64_t mark = 0;
    Time at{};
    Index service = 0;
    bool unique = false;
  };
  struct Made {
    std::uint64_t mark = 0;
    Index service = 0;
  };
  // A connection that the server made for a stream of the service.
  struct Seen {
    std::uint64_t mark = 0;
    Time not_before{};
    Time at{};
    Index feeds = kNowhere;
    bool unique = false;
  };
  struct Service {
    std::string name;
    std::deque<Seen> seen;
    Time refused_until{};
  };

  Index index_of(std::string_view service);
  static bool fits(const Taken& taken, Time not_before, Time at);
  // Which service it feeds, by what was seen.
  Index fed_by(Index service, Time now) const;
  Found find_loop(Index from, Time now);

  const MarkKey key_;
  std::mutex mutex_;  // of what follows
  std::vector<Service> services_;
  std::map<std::string, Index, std::less<>> indexes_;
  std::vector<Taken> taken_;  // empty until there is one
  std::vector<Made> made_;    // likewise
};

}  // namespace holdfast
