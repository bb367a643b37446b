// What is wrong with a config file, for people and for programs.
#pragma once

#include <string>
#include <vector>

namespace holdfast {

enum class Severity { error, warning };

// Decides the exit code: a secret that others can read is not a mistake in the text, and neither is
// a credential that systemd shows to the service's main process only, nor a capability that a
// process lacks.
enum class ProblemKind { config, permission, credential, capability };

struct Problem {
  std::string file;
  int line = 0;     // from 1; 0 when it is about the file as a whole
  std::string key;  // dotted, as in link.heartbeat; empty when it is about a line or the file
  Severity severity = Severity::error;
  std::string reason;
  std::string hint;  // what to do; may be empty
  ProblemKind kind = ProblemKind::config;
};

// For a process that is not the service's main one: errors of kind credential and capability become
// warnings.
void forgive_credentials(std::vector<Problem>& problems);

bool has_errors(const std::vector<Problem>& problems);

// 0 without errors (warnings do not count), 77 when all errors are of kind permission, else 78
// (EX_NOPERM and EX_CONFIG of sysexits.h).
int exit_code(const std::vector<Problem>& problems);

// "reason (hint)", or the reason where there is no hint.
std::string reason_with_hint(const Problem& problem);

// One line: "file:line: key: reason (hint)"; a warning's reason starts with "warning: ". Control
// characters that came from the file are escaped.
std::string format_problem(const Problem& problem);

// All of them, a line each: errors first, then warnings, each in the order of the file.
std::string format_problems(const std::vector<Problem>& problems);

// A JSON array of objects {file, line, key, severity, kind, reason, hint}, in the same order.
std::string problems_to_json(const std::vector<Problem>& problems);

}  // namespace holdfast
