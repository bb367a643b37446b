#include "common/admin/reload.h"

#include "common/admin/escape.h"

namespace holdfast {
namespace {

std::string shown_value(const std::string& text) {
  return text.empty() ? "(not set)" : escaped(text);
}

std::string line_of(const ConfigChange& change) {
  std::string line = escaped(change.key) + ": ";
  if (!change.before.empty() || !change.after.empty()) {
    line += shown_value(change.before) + " -> " + shown_value(change.after) + ": ";
  }
  line += to_string(change.effect);
  if (change.live && *change.live != 0) {
    line += " (" + std::to_string(*change.live) + " live)";
  }
  return line;
}

std::string sum_of(const ReloadReport& report) {
  std::size_t count = report.changes.size();
  std::string changes =
      count == 0 ? "no changes" : std::to_string(count) + (count == 1 ? " change" : " changes");
  switch (report.outcome) {
    case ReloadReport::Outcome::applied:
      return "reloaded: " + changes;
    case ReloadReport::Outcome::dry_run:
      return changes + "; nothing was applied (dry run)";
    case ReloadReport::Outcome::refused:
    case ReloadReport::Outcome::unavailable:
      break;
  }
  std::string reason = report.reason.empty() ? "the config has errors" : escaped(report.reason);
  return "not reloaded, the old config stays: " + reason;
}

}  // namespace

std::string_view to_string(ReloadReport::Outcome outcome) {
  switch (outcome) {
    case ReloadReport::Outcome::applied:
      return "applied";
    case ReloadReport::Outcome::dry_run:
      return "dry_run";
    case ReloadReport::Outcome::refused:
      return "refused";
    case ReloadReport::Outcome::unavailable:
      return "unavailable";
  }
  return "invalid";
}

std::string render_reload(const ReloadReport& report) {
  std::string out = format_problems(report.problems);
  for (const ConfigChange& change : report.changes) out += line_of(change) + "\n";
  return out + sum_of(report) + "\n";
}

}  // namespace holdfast
