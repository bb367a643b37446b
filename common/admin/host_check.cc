#include "common/admin/host_check.h"

#include <arpa/inet.h>
#include <unistd.h>

#include <algorithm>

namespace holdfast {
namespace {

bool same_name(std::string_view one, std::string_view other) {
  auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::equal(one.begin(), one.end(), other.begin(), other.end(),
                    [&](char a, char b) { return lower(a) == lower(b); });
}

// Without the port and a final dot.
std::string_view name_of(std::string_view host) {
  bool bracketed = !host.empty() && host.front() == '[';
  std::size_t colon = host.rfind(':');
  std::size_t bracket = host.rfind(']');
  bool has_port = colon != std::string_view::npos && (!bracketed || bracket < colon);
  if (has_port) host = host.substr(0, colon);
  if (bracketed && host.size() >= 2 && host.back() == ']') host = host.substr(1, host.size() - 2);
  if (!host.empty() && host.back() == '.') host.remove_suffix(1);
  return host;
}

// One label: no name that is bought or given away has only one.
bool is_plain(const std::string& name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  });
}

bool is_literal(const std::string& name) {
  in6_addr address{};
  return ::inet_pton(AF_INET, name.c_str(), &address) == 1 ||
         ::inet_pton(AF_INET6, name.c_str(), &address) == 1;
}

}  // namespace

std::string machine_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "";
}

std::string why_not_this_host(std::string_view host, std::string_view own) {
  std::string name(name_of(host));
  if (is_plain(name) || is_literal(name)) return "";
  constexpr std::string_view kLocal = ".localhost";
  if (name.size() > kLocal.size() &&
      same_name(std::string_view(name).substr(name.size() - kLocal.size()), kLocal)) {
    return "";
  }
  if (!name.empty() && (same_name(name, own) || same_name(name, machine_name()))) return "";
  return "This page is shown under this machine's address or own name only, so that no other site "
         "can read it: open it as http://ADDRESS:PORT/, or name it in [admin] metrics.\n";
}

}  // namespace holdfast
