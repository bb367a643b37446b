// Links and connections as the admin interface shows them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/admin/loop_backend.h"
#include "common/admin/snapshot.h"
#include "common/agent/event_recorder.h"
#include "common/core/memory_pool.h"
#include "common/tunnel/link_driver.h"

namespace holdfast {

// What both kinds of agent say of themselves, links left out.
struct AgentFacts {
  AgentKind kind{};
  std::string name;
  std::string config_path;
  std::vector<std::string> services;  // every configured one
  Time started_at{};
  std::map<std::string, std::int64_t> certificates = {};  // when each ends, by the config's key
};

// Fills in everything but readiness, limits, links and listeners, from ended connections.
AgentSnapshot begin_snapshot(const AgentFacts& facts, const EventRecorder& recorder,
                             const Logger& logger, Time now);

// Adds one link and the sums of its connections to the snapshot. `pool`: the memory of its loop.
void add_link(AgentSnapshot& snapshot, const LinkDriver& driver, const EventRecorder& recorder,
              const MemoryPool& pool, Time now);

// Slots of the links' tables that are looked at for one page: some 0.3 ms of the loop's time.
inline constexpr SlotIndex kPageSlots = 256;
// The links' connections from the cursor on.
ConnectionPage page_of(std::vector<const LinkDriver*> links, const ConnectionCursor& from,
                       Time now);
std::optional<ConnectionSnapshot> find_connection(const std::vector<const LinkDriver*>& links,
                                                  std::string_view id, Time now);

// The link's live connections that a section of the config concerns: all of them with `whole`, else
// those of "services.NAME".
std::uint64_t count_streams(const Link& link, std::string_view section, bool whole, Time now);
// Those that `counts` is true for.
std::uint64_t count_streams(
    const Link& link, Time now,
    const std::function<bool(const LinkService&, const StreamSummary&)>& counts);

}  // namespace holdfast
