#include "common/wire/endpoint.h"

#include <arpa/inet.h>

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

}  // namespace holdfast
