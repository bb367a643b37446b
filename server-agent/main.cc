#include "common/agent/capabilities.h"
#include "common/agent/credentials.h"
#include "common/agent/doctor.h"
#include "common/agent/lineage.h"
#include "common/agent/missing_files.h"
#include "common/cli/cli.h"
#include "common/keeper/handover.h"
#include "common/keeper/keeper.h"
#include "server-agent/agent.h"

int main(int argc, char** argv) {
  if (auto asked = holdfast::asked_for_state(argc, argv)) return *asked;
  holdfast::Keeper keeper(argc, argv);
  holdfast::Program program;
  program.kind = holdfast::AgentKind::server;
  program.run = [&keeper](const holdfast::AgentConfig& config, const std::string& path,
                          const std::vector<holdfast::Problem>& warnings,
                          const std::vector<holdfast::ConfigSource>& sources) {
    return holdfast::run_server_agent(std::get<holdfast::ServerConfig>(config), path, warnings,
                                      sources, keeper.page());
  };
  program.kept_config = [&keeper] { return holdfast::kept_config(keeper.page()); };
  program.wait_for_files = holdfast::wait_for_files;
  program.check_certificates = holdfast::check_certificates;
  program.check_capabilities = [](const holdfast::AgentConfig& config, const std::string& file) {
    return holdfast::missing_capabilities(std::get<holdfast::ServerConfig>(config), file);
  };
  program.examine = [](const holdfast::AgentConfig& config, const holdfast::TellStep& tell) {
    holdfast::examine(std::get<holdfast::ServerConfig>(config), tell);
  };
  program.keep = [&keeper](const std::function<int()>& agent) { return keeper.keep(agent); };
  return holdfast::run_command_line(argc, argv, program);
}
