#include <nlohmann/json.hpp>

#include "common/admin/reload.h"

namespace holdfast {
namespace {

using Json = nlohmann::ordered_json;

// What the reading side needs to tell effects apart.
constexpr ReloadEffect kEffects[] = {ReloadEffect::at_once,      ReloadEffect::new_connections,
                                     ReloadEffect::next_carrier, ReloadEffect::listener,
                                     ReloadEffect::added,        ReloadEffect::taken_away,
                                     ReloadEffect::nft,          ReloadEffect::restart};
constexpr ReloadReport::Outcome kOutcomes[] = {
    ReloadReport::Outcome::applied, ReloadReport::Outcome::dry_run, ReloadReport::Outcome::refused,
    ReloadReport::Outcome::unavailable};

const char* name_of(ReloadEffect effect) {
  switch (effect) {
    case ReloadEffect::at_once:
      return "at_once";
    case ReloadEffect::new_connections:
      return "new_connections";
    case ReloadEffect::next_carrier:
      return "next_carrier";
    case ReloadEffect::listener:
      return "listener";
    case ReloadEffect::added:
      return "added";
    case ReloadEffect::taken_away:
      return "taken_away";
    case ReloadEffect::nft:
      return "nft";
    case ReloadEffect::restart:
      return "restart";
  }
  return "invalid";
}

Json change_json(const ConfigChange& change) {
  Json json = {{"key", change.key},
               {"before", change.before},
               {"after", change.after},
               {"effect", name_of(change.effect)},
               {"meaning", to_string(change.effect)},
               {"live_connections", nullptr}};
  if (change.live) json["live_connections"] = *change.live;
  return json;
}

std::string text_at(const Json& object, const char* key) {
  auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

ConfigChange change_from(const Json& json) {
  ConfigChange change;
  change.key = text_at(json, "key");
  change.before = text_at(json, "before");
  change.after = text_at(json, "after");
  for (ReloadEffect effect : kEffects) {
    if (text_at(json, "effect") == name_of(effect)) change.effect = effect;
  }
  auto live = json.find("live_connections");
  if (live != json.end() && live->is_number_unsigned()) change.live = live->get<std::uint64_t>();
  return change;
}

Problem problem_from(const Json& json) {
  Problem problem;
  problem.file = text_at(json, "file");
  auto line = json.find("line");
  if (line != json.end() && line->is_number_integer()) problem.line = line->get<int>();
  problem.key = text_at(json, "key");
  bool warning = text_at(json, "severity") == "warning";
  problem.severity = warning ? Severity::warning : Severity::error;
  problem.reason = text_at(json, "reason");
  problem.hint = text_at(json, "hint");
  bool permission = text_at(json, "kind") == "permission";
  problem.kind = permission ? ProblemKind::permission : ProblemKind::config;
  return problem;
}

template <typename T, typename From>
void read_list(const Json& object, const char* key, From from, std::vector<T>& out) {
  auto list = object.find(key);
  if (list == object.end() || !list->is_array()) return;
  for (const Json& one : *list) {
    if (one.is_object()) out.push_back(from(one));
  }
}

}  // namespace

std::string reload_json(const ReloadReport& report) {
  Json json = {{"outcome", to_string(report.outcome)},
               {"changes", Json::array()},
               {"problems", Json::parse(problems_to_json(report.problems))},
               {"reason", nullptr},
               {"revoked", nullptr}};
  for (const ConfigChange& change : report.changes) json["changes"].push_back(change_json(change));
  if (!report.reason.empty()) json["reason"] = report.reason;
  if (report.revoked) {
    json["revoked"] = {{"connections", report.revoked->connections},
                       {"links", report.revoked->links}};
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<ReloadReport> parse_reload(std::string_view text) {
  Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return Error{"the agent's answer is not what this version understands"};
  ReloadReport report;
  for (ReloadReport::Outcome outcome : kOutcomes) {
    if (text_at(json, "outcome") == to_string(outcome)) report.outcome = outcome;
  }
  read_list(json, "changes", change_from, report.changes);
  read_list(json, "problems", problem_from, report.problems);
  if (auto revoked = json.find("revoked"); revoked != json.end() && revoked->is_object()) {
    report.revoked = {revoked->value("connections", std::uint64_t{0}),
                      revoked->value("links", std::uint64_t{0})};
  }
  report.reason = text_at(json, "reason");
  if (report.reason.empty()) report.reason = text_at(json, "error");
  return report;
}

}  // namespace holdfast
