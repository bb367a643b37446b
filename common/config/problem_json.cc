#include <nlohmann/json.hpp>

#include "common/config/problem.h"
#include "common/config/problem_order.h"

namespace holdfast {
namespace {

const char* to_string(ProblemKind kind) {
  switch (kind) {
    case ProblemKind::config:
      return "config";
    case ProblemKind::permission:
      return "permission";
    case ProblemKind::credential:
      return "credential";
    case ProblemKind::capability:
      return "capability";
  }
  return "";
}

}  // namespace

std::string problems_to_json(const std::vector<Problem>& problems) {
  nlohmann::ordered_json array = nlohmann::ordered_json::array();
  for (const Problem& problem : in_reading_order(problems)) {
    array.push_back({
        {"file", problem.file},
        {"line", problem.line},
        {"key", problem.key},
        {"severity", problem.severity == Severity::error ? "error" : "warning"},
        {"kind", to_string(problem.kind)},
        {"reason", problem.reason},
        {"hint", problem.hint},
    });
  }
  // A path may hold bytes that are no UTF-8; `replace` keeps dump() from throwing.
  return array.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace holdfast
