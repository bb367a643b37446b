#include "common/agent/lineage.h"

#include "common/core/link.h"
#include "common/core/memory_pool.h"
#include "tests/catch.h"
#include "tests/unit/in_child.h"

namespace holdfast {
namespace {

const StateOwner kOwner{"client", "edge"};

LinkOptions options() {
  LinkOptions link;
  link.role = LinkOptions::Role::client;
  link.name = "edge";
  return link;
}

// A process that has committed, with one link.
struct First {
  Page page;
  Lineage lineage{page, kOwner};
  MemoryPool pool{4 * kMiB, 10, nullptr, lineage.make_state(), {2, 32}};
  Link link{options(), pool, LinkId{{1}}, 0};

  First() {
    lineage.keep_config({{"/etc/client.toml", "name = \"edge\"\n"}});
    lineage.commit();
    page.reason = StartReason::killed;
    page.config_from_file = 0;
  }
};

}  // namespace

TEST_CASE("the first process has nothing to go on from, and leaves something") {
  First first;
  CHECK(first.lineage.relics() == nullptr);
  CHECK(first.lineage.objection().empty());
  auto word = decoded_state(first.page.state.load());
  REQUIRE(word.has_value());
  CHECK(word->generation == 1);
  CHECK(first.lineage.state_descriptors().size() == 2);
}

TEST_CASE("a drain goes on after a death, and ends with a planned restart") {
  First first;
  first.lineage.keep_drain(DrainUntil::empty);
  for (StartReason each : {StartReason::killed, StartReason::crashed, StartReason::orphaned}) {
    first.page.reason = each;
    CHECK(in_child([&] { return Lineage(first.page, kOwner).drain() == DrainUntil::empty; }));
  }
  for (StartReason each : {StartReason::restart, StartReason::upgrade, StartReason::parked}) {
    first.page.reason = each;
    CHECK(in_child([&] { return !Lineage(first.page, kOwner).drain(); }));
  }
  first.page.reason = StartReason::killed;
  first.lineage.keep_drain(std::nullopt);
  CHECK(in_child([&] { return !Lineage(first.page, kOwner).drain(); }));
}

TEST_CASE("so do a log level and links that are held down") {
  First first;
  first.lineage.keep_log_level(LogLevel::trace);
  first.lineage.keep_held_down({"hub", "hub#2"});
  auto kept = [&] {
    Lineage next(first.page, kOwner);
    return next.log_level() == LogLevel::trace &&
           next.held_down() == std::vector<std::string>{"hub", "hub#2"};
  };
  CHECK(in_child(kept));
  CHECK(in_child([&] {
    Lineage next(first.page, kOwner);
    MemoryPool pool(4 * kMiB, 10, nullptr, next.make_state(), {2, 32});
    Link link(options(), pool, LinkId{{1}}, 0);
    next.commit();
    first.page.reason = StartReason::crashed;
    return kept();  // also by the one after it
  }));
  first.lineage.keep_log_level(std::nullopt);
  first.lineage.keep_held_down({});
  CHECK(in_child([&] {
    Lineage next(first.page, kOwner);
    return !next.log_level() && next.held_down().empty();
  }));
  first.lineage.keep_log_level(LogLevel::error);
  first.page.reason = StartReason::restart;
  CHECK(in_child([&] { return !Lineage(first.page, kOwner).log_level(); }));
}

TEST_CASE("the next one goes on as the same, and counts on") {
  First first;
  CHECK(in_child([&] {
    Lineage next(first.page, kOwner);
    if (next.relics() == nullptr || next.start_id() != first.lineage.start_id()) return false;
    MemoryPool pool(4 * kMiB, 10, nullptr, next.make_state(), {2, 32});
    next.commit();
    RecoveryTally tally;
    tally.connections = 5;
    RecoveryReport report = next.finish(tally);
    return decoded_state(first.page.state.load())->generation == 2 && report.reason == "killed" &&
           report.recoveries.at("killed") == 1 && report.connections_in_all == 5 &&
           next.relics() == nullptr;
  }));
}

TEST_CASE("what killed too many is discarded, loudly") {
  First first;
  first.page.discard = 1;
  CHECK(in_child([&] {
    Lineage next(first.page, kOwner);
    return next.relics() == nullptr && !next.objection().empty() &&
           next.start_id() != first.lineage.start_id();
  }));
}

TEST_CASE("after a death the config in force comes first, after a restart the files do") {
  First first;
  auto kept = kept_config(first.page);
  REQUIRE(kept.has_value());
  CHECK(kept->use == KeptConfig::Use::in_place_of_the_files);
  REQUIRE(kept->sources.size() == 1);
  CHECK(kept->sources[0].path == "/etc/client.toml");
  CHECK(std::get<std::string>(kept->sources[0].content) == "name = \"edge\"\n");
  first.page.config_from_file = 1;
  CHECK(kept_config(first.page)->use == KeptConfig::Use::if_the_files_have_errors);
  first.page.state = 0;
  CHECK_FALSE(kept_config(first.page).has_value());
}

}  // namespace holdfast
