// Lineage: an agent's processes, one after the other: what this one has of the one before it, and
// what it leaves to the next.
//
//   relics of the last process --Link::recover()--> regions of this one --commit()--> it counts
//
// Until commit() a death begins with the same relics again, after it with what this one has.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/admin/recovery_report.h"
#include "common/agent/life_cycle.h"
#include "common/cli/cli.h"
#include "common/config/sources.h"
#include "common/keeper/page.h"
#include "common/state/relics.h"
#include "common/state/root.h"

namespace holdfast {

// The config that the last process had in force, where the page says that it is to be used.
std::optional<KeptConfig> kept_config(const Page& page);

class Lineage {
 public:
  // Before the process opens anything that it keeps. `page` outlives it.
  Lineage(Page& page, const StateOwner& owner);
  ~Lineage();

  // Null: there is nothing to go on from.
  Relics* relics() { return relics_.get(); }
  // Why what there was is of no use, for people; empty: it is, or there was nothing.
  const std::string& objection() const { return objection_; }
  // A client's, to its servers: that of the first process.
  std::uint64_t start_id() const { return start_id_; }
  // Memory for the loops' links and streams. The lineage outlives what is made.
  MakeRegionMemory make_state();
  // The files of the config in force. Any thread.
  void keep_config(const std::vector<ConfigSource>& sources);

  // What an operator asked for goes on after a death, and ends with a planned restart.
  std::optional<DrainUntil> drain() const { return drain_; }
  void keep_drain(std::optional<DrainUntil> drain);
  std::optional<LogLevel> log_level() const { return log_level_; }
  void keep_log_level(std::optional<LogLevel> level);
  const std::vector<std::string>& held_down() const { return held_down_; }  // links' names
  void keep_held_down(const std::vector<std::string>& links);

  void commit();
  // Why the next process will have nothing of this one, once that is committed; empty: it will.
  std::string unkept() const;
  // All that is wanted of the relics was taken: the rest is closed.
  RecoveryReport finish(const RecoveryTally& tally);
  // What is to stay open for the next program, if this one is executed anew: the state's memory.
  // Its sockets are those that it names.
  std::vector<int> state_descriptors() const;

 private:
  void take_wishes();

  Page& page_;
  Inheritance inheritance_;
  std::unique_ptr<Relics> relics_;
  std::string objection_;
  std::uint64_t start_id_;
  std::optional<DrainUntil> drain_;
  std::optional<LogLevel> log_level_;
  std::vector<std::string> held_down_;
  std::unique_ptr<Root> root_;
  int refusal_ = 0;  // where there is none
};

}  // namespace holdfast
