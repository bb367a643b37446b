#include "common/admin/http_client.h"

#include <httplib.h>

#include <cerrno>
#include <cstring>

#include "common/admin/listeners.h"

namespace holdfast {
namespace {

Unanswered cannot_connect(const std::string& socket, int error) {
  switch (error) {
    case EACCES:
    case EPERM:
      return {true, "not allowed to use the admin socket " + socket +
                        ": run as the agent's user or as a member of its [admin] group"};
    case ENOENT:
    case ECONNREFUSED:
      return {false, "no agent is running here: nothing answers at " + socket +
                         "; start it, or check [admin] socket"};
    default:
      return {false, "the admin socket " + socket + " cannot be used: " + std::strerror(error)};
  }
}

}  // namespace

std::string percent_encoded(std::string_view text) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                 c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      out.push_back(c);
    } else {
      out.append({'%', kDigits[byte >> 4], kDigits[byte & 15]});
    }
  }
  return out;
}

std::variant<HttpAnswer, Unanswered> ask_agent(const std::string& socket, const std::string& method,
                                               const std::string& target, Duration timeout) {
  // httplib does not tell why a connect failed, so one is tried before.
  if (int error = probe_unix(socket); error != 0) return cannot_connect(socket, error);
  httplib::ClientImpl client(socket, 80);
  client.set_address_family(AF_UNIX);
  client.set_connection_timeout(timeout);
  client.set_read_timeout(timeout);
  client.set_write_timeout(timeout);
  httplib::Result result = method == "POST" ? client.Post(target) : client.Get(target);
  if (!result) {
    return Unanswered{false, "the agent at " + socket + " did not answer (" +
                                 httplib::to_string(result.error()) + "); is it stopped or stuck?"};
  }
  return HttpAnswer{result->status, result->body};
}

}  // namespace holdfast
