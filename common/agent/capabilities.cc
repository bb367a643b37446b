#include "common/agent/capabilities.h"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace holdfast {
namespace {

bool has_capability(unsigned number) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3]{};
  if (syscall(SYS_capget, &header, data) != 0) return false;
  return (data[number / 32].effective >> (number % 32) & 1U) != 0;
}

// IP_TRANSPARENT and, from Linux 5.17 on, SO_MARK take either (ip(7), socket(7)).
bool may_be_transparent() {
  return has_capability(CAP_NET_RAW) || has_capability(CAP_NET_ADMIN);
}

Problem missing(const std::string& file, const std::string& key, const std::string& what) {
  Problem problem;
  problem.file = file;
  problem.key = key;
  problem.reason = what + " needs CAP_NET_RAW, which this process lacks";
  problem.hint =
      "in a drop-in of the unit: AmbientCapabilities=CAP_NET_RAW and "
      "CapabilityBoundingSet=CAP_NET_RAW";
  problem.kind = ProblemKind::capability;
  return problem;
}

}  // namespace

std::vector<Problem> missing_capabilities(const ClientConfig& config, const std::string& file) {
  std::vector<Problem> problems;
  if (may_be_transparent()) return problems;
  for (const auto& [name, service] : config.services) {
    if (service.mode != ServiceMode::tproxy) continue;
    problems.push_back(missing(file, "services." + name + ".mode", "\"tproxy\""));
  }
  for (const std::string& each : config.nft.exclude) {
    if (each.starts_with("mark:")) problems.push_back(missing(file, "nft.exclude", "a mark"));
  }
  return problems;
}

std::vector<Problem> missing_capabilities(const ServerConfig& config, const std::string& file) {
  std::vector<Problem> problems;
  if (may_be_transparent()) return problems;
  for (const auto& [name, service] : config.services) {
    if (service.source != SourceAddress::client) continue;
    problems.push_back(missing(file, "services." + name + ".source", "\"client\""));
  }
  for (const auto& [name, client] : config.clients) {
    if (client.source != SourceAddress::client) continue;
    problems.push_back(missing(file, "clients." + name + ".source", "\"client\""));
  }
  return problems;
}

}  // namespace holdfast
