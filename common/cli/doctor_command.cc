// `doctor`: walks the way and stops at the first step that fails.
#include <nlohmann/json.hpp>

#include "common/cli/doctor.h"
#include "common/cli/subcommands.h"
#include "common/log/escape.h"

namespace holdfast {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kColumn = 9;  // of the steps' names

std::string line_of(const Finding& finding) {
  std::string step = finding.step;
  step.resize(std::max(step.size(), kColumn), ' ');
  std::string line = (finding.good ? "ok      " : "FAILED  ") + step + escaped(finding.what);
  if (!finding.good && !finding.remedy.empty()) line += "; " + escaped(finding.remedy);
  return line + "\n";
}

Json json_of(const Finding& finding) {
  Json out = {{"step", finding.step}, {"good", finding.good}, {"what", finding.what}};
  if (!finding.good) out["remedy"] = finding.remedy;
  return out;
}

Finding config_finding(const std::string& path, const std::vector<Problem>& problems) {
  for (const Problem& each : problems) {
    if (each.severity != Severity::error) continue;
    Problem bare = each;
    bare.hint.clear();
    return {"config", false, format_problem(bare),
            each.hint.empty() ? "`check` tells every mistake" : each.hint};
  }
  return {"config", true, path, ""};
}

}  // namespace

int do_doctor(const Invocation& call, const Program& program) {
  CheckedConfig checked = check_config(program, call.config_path);
  std::vector<Finding> findings = {config_finding(call.config_path, checked.problems)};
  int code = exit_code(checked.problems);
  auto show = [&](const Finding& finding) {
    if (!call.json) call.out << line_of(finding) << std::flush;
  };
  show(findings.back());
  if (code == kExitOk && checked.config && program.examine) {
    program.examine(*checked.config, [&](Finding finding) {
      findings.push_back(std::move(finding));
      show(findings.back());
      return findings.back().good;
    });
    if (!findings.back().good) code = kExitFailed;
  }
  if (call.json) {
    Json steps = Json::array();
    for (const Finding& each : findings) steps.push_back(json_of(each));
    Json out = {{"good", code == kExitOk}, {"steps", steps}};
    call.out << out.dump(2, ' ', false, Json::error_handler_t::replace) << "\n";
  }
  return code;
}

}  // namespace holdfast
