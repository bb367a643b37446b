#include "common/agent/activation.h"

#include <cstdlib>
#include <set>

#include "common/base/with_systemd.h"
#include "common/io/passed_sockets.h"

namespace holdfast {
namespace {

class Check {
 public:
  void want(const std::string& key, const ListenAddress& address, PassedKinds kinds) {
    const auto* socket = std::get_if<SystemdSocket>(&address);
    if (socket == nullptr) return;
    wanted_.insert(socket->name);
    auto passed = passed_sockets(socket->name, kinds);
    if (!passed && fault_.empty()) fault_ = key + ": " + passed.error().message;
  }

  Result<std::vector<Problem>> result(const std::string& path, const std::string& where) const {
    if (!fault_.empty()) return Error{fault_};
    std::vector<Problem> warnings;
    for (const std::string& name : passed_names()) {
      if (wanted_.count(name) != 0) continue;
      warnings.push_back(
          warning(path, "systemd passed a socket named \"" + name + "\", and nothing listens on it",
                  "set " + where + " = \"systemd:" + name +
                      "\", or give the socket unit the FileDescriptorName= that is meant"));
    }
    // Else a unit of Type=notify would end it after a while, for a reason that nobody sees.
    if (!kWithSystemd && std::getenv("NOTIFY_SOCKET") != nullptr) {
      warnings.push_back(warning(
          path, std::string(kNoSystemd) + ": systemd waits to be told that the agent is ready",
          "set Type=exec and WatchdogSec=0 in its unit"));
    }
    return warnings;
  }

 private:
  static Problem warning(const std::string& path, std::string reason, std::string hint) {
    Problem problem;
    problem.file = path;
    problem.severity = Severity::warning;
    problem.reason = std::move(reason);
    problem.hint = std::move(hint);
    return problem;
  }

  std::set<std::string> wanted_;
  std::string fault_;
};

}  // namespace

Result<std::vector<Problem>> check_activation(const ClientConfig& config, const std::string& path) {
  Check check;
  for (const auto& [name, service] : config.services) {
    for (const ListenAddress& address : service.listen) {
      check.want("services." + name + ".listen", address, PassedKinds::tcp_and_unix);
    }
  }
  return check.result(path, "a service's listen");
}

Result<std::vector<Problem>> check_activation(const ServerConfig& config, const std::string& path) {
  Check check;
  for (const ListenAddress& address : config.link.listen) {
    check.want("link.listen", address, PassedKinds::tcp);
  }
  return check.result(path, "link.listen");
}

}  // namespace holdfast
