#include "common/admin/reload.h"

#include "common/log/escape.h"

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

std::string counted(std::uint64_t count, const char* noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

// "; --revoke ends 2 connections and drops 1 link that must prove itself anew"
std::string revocation_of(const ReloadReport& report) {
  if (!report.revoked) return "";
  bool dry = report.outcome == ReloadReport::Outcome::dry_run;
  std::string said = dry ? "; --revoke would end " : "; --revoke ends ";
  said += counted(report.revoked->connections, "connection");
  if (report.revoked->links == 0) return said;
  return said + ", and " + counted(report.revoked->links, "link") + " must prove " +
         (report.revoked->links == 1 ? "itself" : "themselves") + " anew at once";
}

std::string sum_of(const ReloadReport& report) {
  std::size_t count = report.changes.size();
  std::string changes = count == 0 ? "no changes" : counted(count, "change");
  switch (report.outcome) {
    case ReloadReport::Outcome::applied:
      return "reloaded: " + changes + revocation_of(report);
    case ReloadReport::Outcome::dry_run:
      return changes + revocation_of(report) + "; nothing was applied (dry run)";
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

std::string fault_of(const ReloadReport& report) {
  for (const Problem& problem : report.problems) {
    if (problem.severity == Severity::error) return format_problem(problem);
  }
  return report.reason;
}

std::string render_reload(const ReloadReport& report) {
  std::string out = format_problems(report.problems);
  for (const ConfigChange& change : report.changes) out += line_of(change) + "\n";
  return out + sum_of(report) + "\n";
}

}  // namespace holdfast
