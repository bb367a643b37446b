#include "common/agent/reload.h"

namespace holdfast {

void add_changed_files(const CredentialMarks& before, const CredentialMarks& after,
                       std::vector<ConfigChange>& changes) {
  for (const auto& file : after) {
    const auto& key = file.first;
    auto known = before.find(key);
    if (known == before.end() || known->second == file.second) continue;
    bool told = std::any_of(changes.begin(), changes.end(),
                            [&](const ConfigChange& change) { return change.key == key; });
    if (told) continue;
    changes.push_back({key, "the file as it was", "the file as it is now",
                       ReloadEffect::next_carrier, "", std::nullopt});
  }
}

void tell_reload(const ReloadReport& report, bool revoke, Logger& logger, EventRecorder& recorder) {
  recorder.reloaded(report.good() ? "" : fault_of(report));
  if (report.good()) {
    for (const ConfigChange& change : report.changes) {
      logger.event(LogLevel::info, "config_change",
                   {{"key", change.key},
                    {"before", change.before},
                    {"after", change.after},
                    {"effect", to_string(change.effect)}});
    }
    logger.event(LogLevel::info, "config_reloaded",
                 {{"changes", report.changes.size()}, {"revoke", revoke}});
    return;
  }
  for (const Problem& problem : report.problems) {
    if (problem.severity != Severity::error) continue;
    logger.event(LogLevel::error, "config_problem",
                 {{"file", problem.file},
                  {"line", problem.line},
                  {"key", problem.key},
                  {"reason", reason_with_hint(problem)}});
  }
  logger.event(LogLevel::error, "config_reload_failed",
               {{"reason", report.reason.empty() ? "the config has errors" : report.reason},
                {"meaning", "the old config stays"}});
}

}  // namespace holdfast
