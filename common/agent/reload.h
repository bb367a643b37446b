// Reload: a config and its secrets loaded again, and an agent told of what changed. The same for
// both kinds of agent, which differ in how they load and apply.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/admin/reload.h"
#include "common/agent/capabilities.h"
#include "common/agent/credentials.h"
#include "common/agent/event_recorder.h"
#include "common/agent/listen_names.h"
#include "common/config/load.h"
#include "common/log/log.h"

namespace holdfast {

// The agent as a reload sees it. The loop's thread.
template <typename Config, typename Credentials>
class Reloadable {
 public:
  // As it runs now.
  virtual const Config& config() const = 0;
  virtual const CredentialMarks& marks() const = 0;
  // Live connections of a section: "services.NAME", "clients.NAME", "links.NAME".
  virtual std::uint64_t live(std::string_view section) const = 0;
  // What of it is not allowed by a new config: ended where the reload revokes.
  virtual Revocation revoked_by(const Config& config, const Credentials& credentials) const = 0;
  // All or nothing. `names`: of the addresses to listen on.
  virtual Status apply(Config config, Credentials credentials,
                       std::map<std::string, FoundAddresses> names, bool revoke) = 0;
  // It was applied: these are its files.
  virtual void in_force(const std::vector<ConfigSource>& sources) = 0;

 protected:
  ~Reloadable() = default;
};

// Files whose names stayed and whose content did not.
void add_changed_files(const CredentialMarks& before, const CredentialMarks& after,
                       std::vector<ConfigChange>& changes);
// Writes what came of it to the log and the counters.
void tell_reload(const ReloadReport& report, bool revoke, Logger& logger, EventRecorder& recorder);

inline LoadedClient load_config(const std::string& path, const ClientConfig*) {
  return load_client_config(path, Environment::checked);
}
inline LoadedServer load_config(const std::string& path, const ServerConfig*) {
  return load_server_config(path, Environment::checked);
}

template <typename Config, typename Credentials>
class Reload final : public PreparedReload {
 public:
  // Loads everything now. The agent, logger and recorder outlive this.
  Reload(Reloadable<Config, Credentials>& agent, const std::string& path, Logger& logger,
         EventRecorder& recorder)
      : agent_(agent), logger_(logger), recorder_(recorder) {
    auto loaded = load_config(path, static_cast<const Config*>(nullptr));
    report_.problems = std::move(loaded.problems);
    for (Problem& problem : check_certificates(loaded.tls_tables, path)) {
      report_.problems.push_back(std::move(problem));
    }
    if (loaded.config) {
      for (Problem& problem : missing_capabilities(*loaded.config, path)) {
        report_.problems.push_back(std::move(problem));
      }
    }
    if (!loaded.config || has_errors(report_.problems)) return;
    auto credentials = load_credentials(*loaded.config);
    if (!credentials) {
      report_.reason = credentials.error().message;
      return;
    }
    names_ = look_up_listen_names(*loaded.config);
    config_ = std::move(loaded.config);
    sources_ = std::move(loaded.sources);
    credentials_ = std::move(*credentials);
  }

  ReloadReport finish(const ReloadRequest& request) override {
    if (config_) prepare_changes();
    if (config_ && request.revoke) report_.revoked = agent_.revoked_by(*config_, *credentials_);
    if (config_ && request.dry_run) {
      report_.outcome = ReloadReport::Outcome::dry_run;
    } else if (config_) {
      Status applied = agent_.apply(until_restart(agent_.config(), *config_),
                                    std::move(*credentials_), std::move(names_), request.revoke);
      if (applied) {
        report_.outcome = ReloadReport::Outcome::applied;
        agent_.in_force(sources_);
      }
      if (!applied) report_.reason = applied.error().message;
    }
    if (!request.dry_run) tell_reload(report_, request.revoke, logger_, recorder_);
    return std::move(report_);
  }

 private:
  void prepare_changes() {
    report_.changes = changes(agent_.config(), *config_);
    add_changed_files(agent_.marks(), credentials_->marks, report_.changes);
    for (ConfigChange& change : report_.changes) {
      if (!change.section.empty()) change.live = agent_.live(change.section);
    }
  }

  Reloadable<Config, Credentials>& agent_;
  Logger& logger_;
  EventRecorder& recorder_;
  std::optional<Config> config_;
  std::vector<ConfigSource> sources_;
  std::optional<Credentials> credentials_;
  std::map<std::string, FoundAddresses> names_;
  ReloadReport report_;
};

}  // namespace holdfast
