#include "common/cli/invite_line.h"

#include <charconv>

#include "common/config/table_reader.h"

namespace holdfast {
namespace {

constexpr std::string_view kForm = "holdfast1";
constexpr std::string_view kNoEnd = "never";
constexpr std::size_t kMaxLine = 64 * 1024;

std::vector<std::string> split(std::string_view text, char by) {
  std::vector<std::string> parts(1);
  for (char each : text) {
    if (each == by) {
      parts.emplace_back();
    } else {
      parts.back() += each;
    }
  }
  return parts;
}

Result<Invite::Service> parse_service(const std::string& text) {
  Invite::Service service;
  std::size_t equals = text.find('=');
  service.name = text.substr(0, equals);
  if (!is_valid_name(service.name)) return Error{"a service's name is wrong"};
  if (equals == std::string::npos) return service;
  const char* end = text.data() + text.size();
  auto read = std::from_chars(text.data() + equals + 1, end, service.port);
  if (read.ec != std::errc() || read.ptr != end || service.port == 0) {
    return Error{"the port of service " + service.name + " is wrong"};
  }
  return service;
}

}  // namespace

std::string format_invite(const Invite& invite) {
  std::string line(kForm);
  line += "/" + invite.name + "/";
  for (const TcpAddress& each : invite.server) {
    line += (line.back() == '/' ? "" : ",") + to_string(each);
  }
  line += "/";
  for (const Invite::Service& each : invite.services) {
    line += (line.back() == '/' ? "" : ",") + each.name;
    if (each.port != 0) line += "=" + std::to_string(each.port);
  }
  line += "/" + (invite.expires ? to_string(*invite.expires) : std::string(kNoEnd)) + "/";
  std::string key = format_psk(invite.key);
  line += key;
  wipe(key);
  return line;
}

Result<Invite> parse_invite(std::string_view line) {
  while (line.ends_with('\n') || line.ends_with('\r') || line.ends_with(' ')) line.remove_suffix(1);
  if (line.empty()) return Error{"it is empty"};
  if (line.size() > kMaxLine) return Error{"it is too long"};
  if (line.find('\n') != std::string_view::npos) return Error{"it has more than one line"};
  std::vector<std::string> parts = split(line, '/');
  if (parts[0] != kForm) {
    return Error{parts[0].starts_with("holdfast") ? "it is of another version of holdfast"
                                                  : "it does not begin with holdfast1/"};
  }
  if (parts.size() != 6) {
    return Error{"it has " + std::to_string(parts.size()) +
                 " parts between the slashes, not 6: is it whole?"};
  }
  Invite invite;
  invite.name = parts[1];
  if (!is_valid_name(invite.name)) return Error{"the client's name is wrong"};
  for (const std::string& each : split(parts[2], ',')) {
    Result<TcpAddress> address = parse_tcp_address(each);
    if (!address) return Error{"the server's address: " + address.error().message};
    invite.server.push_back(*address);
  }
  for (const std::string& each : split(parts[3], ',')) {
    Result<Invite::Service> service = parse_service(each);
    if (!service) return service.error();
    invite.services.push_back(*service);
  }
  if (parts[4] != kNoEnd) {
    Result<Instant> ends = parse_instant(parts[4]);
    if (!ends) return Error{"the date on which it ends: " + ends.error().message};
    invite.expires = *ends;
  }
  Result<Psk> key = parse_psk(parts[5]);
  wipe(parts[5]);
  if (!key) return Error{"its key: " + key.error().message};
  invite.key = std::move(key).value();
  return invite;
}

}  // namespace holdfast
