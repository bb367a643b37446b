// Hardships: what only a share of the drawn worlds has beside faults of every world: poor paths,
// names, few descriptors, limits that differ. They are drawn from numbers of their own, so that the
// rest of a world is the same with them and without.
#pragma once

#include "tests/sim/options.h"

namespace holdfast::sim {

enum class Hardship : std::uint8_t {
  loss,           // single segments
  bursts,         // of losses
  shared_queue,   // few bytes fit into it
  queue_by_flow,  // the same, one for each flow
  jitter,
  slow,         // from 64 kbit/s on
  storm,        // for a while most of what is sent is lost
  swallow,      // for a while what is large vanishes
  middlebox,    // in an outage somebody answers SYNs
  names,        // which fail, hang, are unknown, and come back
  descriptors,  // run out and come back
  few_descriptors,
  limits_differ,  // fewer connections at the server than at the client
  limits_change,  // by a reload of the server
};
inline constexpr int kHardships = static_cast<int>(Hardship::limits_change) + 1;
const char* to_string(Hardship hardship);

// Gives the world one of them or two, unless the seed leaves it alone, as three of four do.
void draw_hardships(std::uint64_t seed, Options& options);
void harden(Random& random, Hardship hardship, Options& options);
// Lets one world in twelve have paths that never pass large packets, from the beginning or from one
// moment on; numbers of their own again, and so for those of the lanes.
void draw_small_packets(std::uint64_t seed, Options& options);
// One world in three has several lanes, as many as `parallel` makes: "auto", or a number.
void draw_lanes(std::uint64_t seed, Options& options);

}  // namespace holdfast::sim
