// ConfiguredAgent: what both kinds of agent have in common: a config and its secrets, a driver that
// does what they say, the same questions, commands and reloads. A kind adds how its config becomes
// its driver's options, and what it tells of its links.
#pragma once

#include <unistd.h>

#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/agent/activation.h"
#include "common/agent/credentials.h"
#include "common/agent/history_keeper.h"
#include "common/agent/kept.h"
#include "common/agent/life_cycle.h"
#include "common/agent/listen_names.h"
#include "common/agent/reload.h"
#include "common/agent/reporting.h"
#include "common/agent/shell.h"
#include "common/cli/cli.h"
#include "common/io/listener_set.h"

namespace holdfast {

// `Driver::for_each_link(visit)` visits links of which driver_of(link) is the LinkDriver.
template <typename Config, typename Credentials, typename Options, typename Driver>
class ConfiguredAgent : public Agent, public Reloadable<Config, Credentials> {
 public:
  ConfiguredAgent(AgentKind kind, const AgentContext& context, Config config,
                  Credentials credentials, Options options)
      : context_(context),
        config_(std::move(config)),
        marks_(std::move(credentials.marks)),
        driver_(context.loop, std::move(options), context.recorder) {
    facts_ = {kind, config_.name,       context.config_path,
              {},   context.loop.now(), std::move(credentials.ends)};
    note_services();
  }

  Status start() override {
    Lineage& lineage = context_.lineage;
    if (!lineage.objection().empty()) context_.recorder.state_discarded(lineage.objection());
    lineage.commit();
    tell_of_unkept(context_.logger, context_.page, lineage.unkept());
    RecoveryTally tally = driver_.go_on();
    if (lineage.relics() != nullptr) begin_counts();
    Status listening = driver_.listen();
    tally.adopted = driver_.adopted();
    if (lineage.relics() != nullptr) context_.recorder.recovered(lineage.finish(tally));
    if (!listening) return listening;
    LoopsPause none_turns = pause_loops();
    go_on_holding(lineage.held_down());
    if (lineage.drain()) drain(*lineage.drain());
    return listening;
  }
  LoopsPause pause_loops() override { return driver_.pause_loops(); }
  Loop::Task& task() override { return driver_; }
  void shut_down() override { driver_.shut_down(); }

  const std::map<std::string, std::int64_t>& certificates() const override {
    return facts_.certificates;
  }
  History::Measurement measure() const override {
    History::Measurement sum;
    for_each_link([&](const auto& link) { holdfast::measure(sum, driver_of(link)); });
    return sum;
  }
  AgentBrief brief() const override {
    AgentBrief brief;
    brief.kind = facts_.kind;
    brief.draining = driver_.draining();
    for (const ListenFailure& each : driver_.listen_failures()) {
      brief.not_listening.push_back(each.address);
    }
    tell_links(brief);
    return brief;
  }

  Result<AgentSnapshot> snapshot(const SnapshotQuery&) override {
    AgentSnapshot snapshot = begin_snapshot(facts_, context_.recorder, context_.logger, now());
    snapshot.connections_limit = driver_.max_streams();
    snapshot.send_log_limit_bytes = driver_.memory() / 2;
    snapshot.turns = driver_.turns();
    snapshot.draining = driver_.draining();
    snapshot.home = driver_.home();
    snapshot.listening = driver_.listening();
    for (const ListenFailure& each : driver_.listen_failures()) {
      snapshot.not_listening.push_back({each.address, each.reason});
    }
    tell_links(snapshot);
    context_.recorder.leave_out_before(snapshot);
    return snapshot;
  }
  ConnectionPage connections(const ConnectionCursor& from) override {
    return page_of(links(), from, now());
  }
  Result<std::optional<ConnectionSnapshot>> connection(const std::string& id) override {
    return find_connection(links(), id, now());
  }

  CommandResult command(const Command& command) override {
    using Outcome = CommandResult::Outcome;
    switch (command.kind) {
      case Command::Kind::kill:
        if (!driver_.kill(command.id)) return {Outcome::failed, "no connection " + command.id};
        return {Outcome::done, "killed " + command.id};
      case Command::Kind::drain:
      case Command::Kind::drain_until_empty:
        drain(command.kind == Command::Kind::drain ? DrainUntil::timeout : DrainUntil::empty);
        return {Outcome::done, "draining: no new connections are accepted"};
      case Command::Kind::undrain:
        if (!driver_.draining()) return {Outcome::done, "it does not drain"};
        if (!driver_.undrain()) return {Outcome::failed, "it is too late: the agent ends"};
        context_.lineage.keep_drain(std::nullopt);
        context_.recorder.undrained();
        return {Outcome::done, "new connections are accepted again"};
      case Command::Kind::reconnect:
      case Command::Kind::link_down:
      case Command::Kind::link_up:
        return act_on_links(command);
      case Command::Kind::log_level:
      case Command::Kind::hand_over:
        break;  // the shell's
    }
    return {Outcome::failed, "unknown command"};
  }

  std::unique_ptr<PreparedReload> prepare_reload() override {
    return std::make_unique<Reload<Config, Credentials>>(*this, context_.config_path,
                                                         context_.logger, context_.recorder);
  }
  const Config& config() const override { return config_; }
  const CredentialMarks& marks() const override { return marks_; }

  Status apply(Config config, Credentials credentials, std::map<std::string, FoundAddresses> names,
               bool revoke) override {
    if (credentials.any()) protect_memory();
    Result<Options> options = options_of(config, credentials);
    if (!options) return options.error();
    options->names = std::move(names);
    if (Status done = context_.admin.set_access(config.admin); !done) return done;
    if (Status done = driver_.reconfigure(std::move(*options), revoke); !done) {
      (void)context_.admin.set_access(config_.admin);
      return done;
    }
    // A level set at run time stays, unless the file's own changed.
    if (config.log.level != config_.log.level) {
      context_.logger.set_level(config.log.level);
      context_.lineage.keep_log_level(std::nullopt);
    }
    context_.logger.set_connection_lines(config.log.connection_lines);
    context_.files.reopen();
    config_ = std::move(config);
    marks_ = std::move(credentials.marks);
    facts_.certificates = std::move(credentials.ends);
    note_services();
    return Ok{};
  }
  void in_force(const std::vector<ConfigSource>& sources) override {
    context_.lineage.keep_config(sources);
  }

 protected:
  virtual Result<Options> options_of(const Config& config, Credentials& credentials) const = 0;
  virtual void tell_links(AgentBrief& brief) const = 0;
  // Links, whether it is ready, and why not.
  virtual void tell_links(AgentSnapshot& snapshot) const = 0;
  virtual CommandResult act_on_links(const Command& command) = 0;
  // An operator held these links down while the process before this one ran.
  virtual void go_on_holding(const std::vector<std::string>&) {}

  const AgentContext& context() const { return context_; }
  Time now() const { return context_.loop.now(); }
  const Driver& driver() const { return driver_; }
  template <typename Visit>
  void for_each_link(Visit visit) const {
    driver_.for_each_link([&](auto& link, const MemoryPool&) { visit(link); });
  }

 private:
  // Before anything turns.
  void begin_counts() {
    if (auto living = snapshot({})) context_.recorder.begin_from(*living);
  }
  void drain(DrainUntil until) {
    if (!driver_.draining()) context_.recorder.draining(brief().connections);
    context_.lineage.keep_drain(until);
    driver_.drain(until);
  }
  std::vector<const LinkDriver*> links() const {
    std::vector<const LinkDriver*> all;
    for_each_link([&](const auto& link) { all.push_back(&driver_of(link)); });
    return all;
  }
  void note_services() {
    facts_.services.clear();
    for (const auto& [name, service] : config_.services) facts_.services.push_back(name);
  }

  AgentContext context_;
  Config config_;
  CredentialMarks marks_;
  AgentFacts facts_;
  Driver driver_;
};

inline const LinkDriver& driver_of(const LinkDriver& driver) {
  return driver;
}

// Runs an agent of the config until it ends. make_options(credentials, descriptors, lineage) gives
// the driver's options or an Error; make_agent(context, credentials, options) the agent. The
// process's exit code.
template <typename Config, typename MakeOptions, typename MakeAgent>
int run_configured(const Config& config, ShellOptions shell, MakeOptions make_options,
                   MakeAgent make_agent) {
  // Before anything is opened.
  Lineage lineage(*shell.page, {std::string(to_string(shell.kind)), config.name});
  lineage.keep_config(shell.sources);
  shell.lineage = &lineage;
  auto refuse = [&](const std::string& reason) {
    std::fprintf(stderr, "%s: %s\n", shell.config_path.c_str(), reason.c_str());
    if (begins_again(*shell.page)) _exit(kExitLacking);  // nothing is closed
    return kExitConfig;
  };
  auto credentials = load_credentials(config);
  if (!credentials) return refuse(credentials.error().message);
  if (credentials->any()) protect_memory();
  auto options = make_options(*credentials, raise_descriptor_limit(), lineage);
  if (!options) return refuse(options.error().message);
  options->names = look_up_listen_names(config);
  auto unused = check_activation(config, shell.config_path);
  if (unused) shell.warnings.insert(shell.warnings.end(), unused->begin(), unused->end());
  return run_shell(shell, [&](const AgentContext& context) {
    return make_agent(context, std::move(*credentials), std::move(*options));
  });
}

}  // namespace holdfast
