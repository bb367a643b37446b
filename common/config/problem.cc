#include "common/config/problem.h"

#include <algorithm>
#include <cstdio>
#include <map>

#include "common/config/problem_order.h"

namespace holdfast {
namespace {

constexpr int kExitOk = 0;
constexpr int kExitPermission = 77;  // EX_NOPERM
constexpr int kExitConfig = 78;      // EX_CONFIG

// Keys come from the file: a terminal must not obey them, and a line must stay one line.
std::string printable(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f) {
      out.push_back(c);
      continue;
    }
    char escape[8];
    std::snprintf(escape, sizeof(escape), "\\x%02x", static_cast<unsigned>(byte));
    out += escape;
  }
  return out;
}

}  // namespace

void forgive_credentials(std::vector<Problem>& problems) {
  for (Problem& problem : problems) {
    bool credential = problem.kind == ProblemKind::credential;
    if (!credential && problem.kind != ProblemKind::capability) continue;
    problem.severity = Severity::warning;
    if (credential) problem.reason = "not checked: " + problem.reason;
  }
}

bool has_errors(const std::vector<Problem>& problems) {
  return std::any_of(problems.begin(), problems.end(),
                     [](const Problem& p) { return p.severity == Severity::error; });
}

int exit_code(const std::vector<Problem>& problems) {
  if (!has_errors(problems)) return kExitOk;
  const bool only_permissions = std::all_of(problems.begin(), problems.end(), [](const Problem& p) {
    return p.severity == Severity::warning || p.kind == ProblemKind::permission ||
           p.kind == ProblemKind::capability;
  });
  return only_permissions ? kExitPermission : kExitConfig;
}

std::string reason_with_hint(const Problem& problem) {
  return problem.hint.empty() ? problem.reason : problem.reason + " (" + problem.hint + ")";
}

std::string format_problem(const Problem& problem) {
  std::string text = problem.file;
  if (problem.line > 0) text += ":" + std::to_string(problem.line);
  text += ": ";
  if (!problem.key.empty()) text += problem.key + ": ";
  if (problem.severity == Severity::warning) text += "warning: ";
  text += reason_with_hint(problem);
  return printable(text);
}

std::vector<Problem> in_reading_order(std::vector<Problem> problems) {
  std::map<std::string, std::size_t> rank;
  for (const Problem& problem : problems) rank.emplace(problem.file, rank.size());
  std::stable_sort(problems.begin(), problems.end(), [&](const Problem& a, const Problem& b) {
    if (a.severity != b.severity) return a.severity == Severity::error;
    if (a.file != b.file) return rank.at(a.file) < rank.at(b.file);
    return a.line < b.line;
  });
  return problems;
}

std::string format_problems(const std::vector<Problem>& problems) {
  std::string text;
  for (const Problem& problem : in_reading_order(problems)) text += format_problem(problem) + "\n";
  return text;
}

}  // namespace holdfast
