// History: what an agent remembers of its last hours for the status page, in fixed memory.
//
//   samples   rates and counts: for ten minutes as they were taken, for four hours by ten seconds
//   lives     when links came and went, those that changed last
//   outages   the times that a link was without a carrier, and what became of its connections
//   endings   the last connections that did not end by an end or a reset of an application
//
// Samples are taken every second while bytes flow, connections come and go, a link is down or
// somebody looks, and every ten seconds otherwise, so that an idle agent sleeps
// (wanted_interval()). Each says how long it stands for. All times are the boot clock's. No lock:
// one thread's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.h"
#include "common/base/ring.h"
#include "common/base/time.h"
#include "common/wire/cause.h"

namespace holdfast {

inline constexpr std::size_t kRecentSamples = 600;
inline constexpr std::size_t kOlderSamples = 4 * 360;
inline constexpr std::size_t kMostLives = 64;
inline constexpr std::size_t kMostOutages = 128;
inline constexpr std::size_t kMostEndings = 24;
inline constexpr std::size_t kMostTextBytes = 64;  // of a name or address that is kept
inline constexpr Duration kBusyInterval = seconds(1);
inline constexpr Duration kQuietInterval = seconds(10);  // also what older samples are merged to
inline constexpr Duration kQuietAfter = seconds(30);     // without a change
inline constexpr Duration kLookedAtFor = seconds(30);    // after a question for the history

struct HistorySample {
  Time at{};        // its end
  Duration span{};  // from the sample before
  std::uint64_t bytes_up = 0;
  std::uint64_t bytes_down = 0;
  // The most within the span.
  std::uint32_t connections = 0;
  std::uint32_t detached = 0;  // of those, on links without a carrier
  Duration round_trip{};       // the longest of the live links'; zero: not known
};

struct LinkLife {
  LinkId link;
  std::string name;  // client with several links: in the config
  std::string peer;
  Time began{};
  Time ended = kNever;  // never: it is there
  Cause cause = Cause::none;
};

struct Outage {
  enum class Result : std::uint8_t {
    running,
    heard,  // the carrier had fallen silent, and goes on
    resumed,
    ended,  // the link's connections with it
  };

  LinkId link;
  std::string name;  // as in its link's life
  std::string peer;
  Time began{};
  Time ended = kNever;
  Result result = Result::running;
  Cause cause = Cause::none;      // why the carrier was lost; none: it is not
  Cause end_cause = Cause::none;  // why the link ended
  std::uint32_t connections = 0;  // when it began
  std::uint32_t resumed = 0;      // of those, resumed
  std::uint64_t replayed_bytes = 0;
  std::uint64_t replayed_before = 0;  // the link's counter when it began
};
std::string_view to_string(Outage::Result result);

struct Ending {
  LinkId link;
  StreamId stream;
  Time at{};
  std::string service;
  std::string client;
  Cause cause = Cause::none;
  std::uint64_t bytes_up = 0;
  std::uint64_t bytes_down = 0;
  Duration duration{};
};

// A copy of what is remembered, each part with the oldest first.
struct HistoryView {
  Time now{};
  std::vector<HistorySample> recent;
  std::vector<HistorySample> older;
  std::vector<LinkLife> lives;
  std::vector<Outage> outages;
  std::vector<Ending> endings;
};

class History {
 public:
  // What the agent's links come to now. Bytes count from the start and never fall, but for those
  // of links that are gone, which link_ended() was told.
  struct Measurement {
    struct Link {
      LinkId id;
      std::uint64_t replayed_bytes = 0;
    };
    std::uint64_t bytes_up = 0;
    std::uint64_t bytes_down = 0;
    std::uint32_t connections = 0;
    std::uint32_t detached = 0;
    std::uint32_t links_down = 0;
    Duration round_trip{};
    std::vector<Link> links;
  };

  explicit History(Time now) : last_at_(now), changed_at_(now), asked_at_(now - kLookedAtFor) {}

  void observe(Time now, const Measurement& reading);
  // `name`: as in LinkLife.
  void link_up(Time now, const LinkId& link, std::string_view peer, std::string_view name = {});
  void link_down(Time since, const LinkId& link, std::string_view peer, Cause cause,
                 std::uint32_t connections, std::uint64_t replayed_bytes);
  void link_resumed(Time now, const LinkId& link, std::uint32_t connections);
  // `since`: when the peer was heard last, as in link_down().
  void link_silent(Time since, const LinkId& link, std::string_view peer, std::uint32_t connections,
                   std::uint64_t replayed_bytes);
  void link_heard(Time now, const LinkId& link, std::uint32_t connections);
  // The bytes are those that no further reading counts.
  void link_ended(Time now, const LinkId& link, Cause cause, std::uint64_t bytes_up,
                  std::uint64_t bytes_down);
  // Ends by an application's end or reset are not kept.
  static bool remembers(Cause cause);
  void connection_closed(Ending ending);

  // Somebody looks: samples are taken every second for a while.
  void asked(Time now) { asked_at_ = now; }
  // From the last sample to the next.
  Duration wanted_interval(Time now) const;
  Time last_at() const { return last_at_; }

  // Samples that ended after `since`, and everything else.
  HistoryView view(Time now, Time since) const;

 private:
  Outage* last_outage(const LinkId& link);
  Outage* running_outage(const LinkId& link);
  Outage& begin_outage(Time since, const LinkId& link, std::string_view peer,
                       std::uint32_t connections, std::uint64_t replayed_bytes);
  void end_outage(Time now, const LinkId& link, Outage::Result result, std::uint32_t connections);
  LinkLife* life(const LinkId& link);
  void add_life(LinkLife added);
  void merge(const HistorySample& sample);

  Time last_at_;
  Time changed_at_;
  Time asked_at_;
  Measurement last_;
  std::uint64_t gone_up_ = 0;
  std::uint64_t gone_down_ = 0;
  std::uint64_t total_up_ = 0;
  std::uint64_t total_down_ = 0;
  HistorySample merging_;
  Ring<HistorySample> recent_{kRecentSamples};
  Ring<HistorySample> older_{kOlderSamples};
  std::vector<LinkLife> lives_;
  Ring<Outage> outages_{kMostOutages};
  Ring<Ending> endings_{kMostEndings};
};

}  // namespace holdfast
