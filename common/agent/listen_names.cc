#include "common/agent/listen_names.h"

namespace holdfast {
namespace {

constexpr Duration kPatience = seconds(2);

void add(std::vector<std::string>& names, const ListenAddress& address) {
  const auto* tcp = std::get_if<TcpAddress>(&address);
  if (tcp == nullptr || tcp->host == kEveryAddress) return;
  if (!SocketAddress::literal({tcp->host, tcp->port})) names.push_back(tcp->host);
}

std::map<std::string, FoundAddresses> look_up(const std::vector<std::string>& names) {
  if (names.empty()) return {};
  return look_up_names(names, kPatience);
}

}  // namespace

std::map<std::string, FoundAddresses> look_up_listen_names(const ClientConfig& config) {
  std::vector<std::string> names;
  for (const auto& [name, service] : config.services) {
    for (const ListenAddress& each : service.listen) add(names, each);
  }
  return look_up(names);
}

std::map<std::string, FoundAddresses> look_up_listen_names(const ServerConfig& config) {
  std::vector<std::string> names;
  for (const ListenAddress& each : config.link.listen) add(names, each);
  return look_up(names);
}

}  // namespace holdfast
