#include "common/base/endpoint.h"

#include <arpa/inet.h>

#include <algorithm>

namespace holdfast {

std::string Endpoint::to_string() const {
  char text[INET6_ADDRSTRLEN] = {};
  switch (family) {
    case EndpointFamily::none:
      return "";
    case EndpointFamily::unix_socket:
      return "unix";
    case EndpointFamily::ipv4:
      inet_ntop(AF_INET, address.data(), text, sizeof text);
      return std::string(text) + ":" + std::to_string(port);
    case EndpointFamily::ipv6:
      inet_ntop(AF_INET6, address.data(), text, sizeof text);
      return "[" + std::string(text) + "]:" + std::to_string(port);
  }
  return "";
}

std::optional<IpAddress> ip_of(const Endpoint& endpoint) {
  if (endpoint.family == EndpointFamily::ipv4) return ip_address(endpoint.address.data(), 4);
  if (endpoint.family == EndpointFamily::ipv6) return ip_address(endpoint.address.data(), 16);
  return std::nullopt;
}

Endpoint normalized(const Endpoint& endpoint) {
  auto ip = ip_of(endpoint);
  if (!ip || ip->version == IpVersion::v6) return endpoint;
  return {EndpointFamily::ipv4, ip->bytes, endpoint.port};
}

Endpoint as_ipv6(const Endpoint& endpoint) {
  if (endpoint.family != EndpointFamily::ipv4) return endpoint;
  Endpoint result{EndpointFamily::ipv6, {}, endpoint.port};
  result.address[10] = result.address[11] = 0xff;
  std::copy_n(endpoint.address.begin(), 4, result.address.begin() + 12);
  return result;
}

}  // namespace holdfast
