#include "common/agent/activation.h"

#include <set>

#include "common/net/passed_sockets.h"

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
    std::vector<Problem> unused;
    for (const std::string& name : passed_names()) {
      if (wanted_.count(name) != 0) continue;
      Problem problem;
      problem.file = path;
      problem.severity = Severity::warning;
      problem.reason = "systemd passed a socket named \"" + name + "\", and nothing listens on it";
      problem.hint = "set " + where + " = \"systemd:" + name +
                     "\", or give the socket unit the FileDescriptorName= that is meant";
      unused.push_back(problem);
    }
    return unused;
  }

 private:
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
