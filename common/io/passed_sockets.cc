#include "common/io/passed_sockets.h"

#include <fcntl.h>
#if HOLDFAST_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include <algorithm>
#include <cstdlib>

#include "common/base/with_systemd.h"

namespace holdfast {
namespace {

struct Passed {
  int descriptor;  // the manager's: to be copied only
  std::string name;
};

constexpr int kFirstPassed = 3;  // SD_LISTEN_FDS_START

// What this process was started with (LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES).
std::vector<Passed> all_passed() {
#if HOLDFAST_SYSTEMD
  char** names = nullptr;
  int count = sd_listen_fds_with_names(0, &names);
  std::vector<Passed> passed;
  for (int i = 0; i < count; ++i) {
    passed.push_back({kFirstPassed + i, names != nullptr ? names[i] : ""});
    if (names != nullptr) std::free(names[i]);
  }
  std::free(names);
  return passed;
#else
  return {};
#endif
}

std::string quoted(const std::vector<std::string>& names) {
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "\"" : ", \"") + name + "\"";
  return list;
}

Error none_of_that_name(const std::string& name) {
  if (!kWithSystemd) return Error{std::string(kNoSystemd) + ", which takes passed sockets"};
  std::vector<std::string> others = passed_names();
  std::string set = "set FileDescriptorName=" + name + " in its socket unit";
  if (others.empty()) {
    return Error{"systemd passed no socket to this process; start it by its service unit, and " +
                 set};
  }
  return Error{"systemd passed no socket named \"" + name + "\", only " + quoted(others) + "; " +
               set};
}

// Of level SOL_SOCKET; -1 where it is none.
int option_of(int descriptor, int option) {
  int value = 0;
  socklen_t size = sizeof value;
  return getsockopt(descriptor, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

bool speaks_tcp(int descriptor) {
  int protocol = option_of(descriptor, SO_PROTOCOL);
  return protocol == IPPROTO_TCP || protocol == IPPROTO_MPTCP;
}

// Empty when all is well.
std::string fault_of(int descriptor, PassedKinds kinds) {
  if (option_of(descriptor, SO_TYPE) != SOCK_STREAM || option_of(descriptor, SO_ACCEPTCONN) != 1) {
    return "is not a listening stream socket; use ListenStream= and Accept=no in its unit";
  }
  int family = SocketAddress::own_of(descriptor).family();
  if (family == AF_UNIX && kinds == PassedKinds::tcp) {
    return "is a Unix socket, and this takes TCP only; use ListenStream=PORT or ADDRESS:PORT";
  }
  if (family == AF_UNIX) return "";
  bool internet = family == AF_INET || family == AF_INET6;
  if (!internet || !speaks_tcp(descriptor)) {
    return "is neither TCP nor a Unix socket; use ListenStream=PORT, ADDRESS:PORT or /PATH";
  }
  return "";
}

// A copy shares its flags with the original, so non-blocking is set for both.
Descriptor copy_of(int descriptor) {
  int flags = fcntl(descriptor, F_GETFL);
  if (flags < 0 || fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) != 0) return {};
  return Descriptor(fcntl(descriptor, F_DUPFD_CLOEXEC, kFirstPassed));
}

}  // namespace

Result<std::vector<Descriptor>> passed_sockets(const std::string& name, PassedKinds kinds) {
  std::vector<Descriptor> sockets;
  for (const Passed& passed : all_passed()) {
    if (passed.name != name) continue;
    std::string fault = fault_of(passed.descriptor, kinds);
    if (!fault.empty()) return Error{"the socket \"" + name + "\" from systemd " + fault};
    Descriptor copy = copy_of(passed.descriptor);
    if (!copy.valid()) return Error{"the socket \"" + name + "\": " + error_text(errno)};
    sockets.push_back(std::move(copy));
  }
  if (sockets.empty()) return none_of_that_name(name);
  return sockets;
}

std::vector<int> passed_descriptors() {
  std::vector<int> descriptors;
  for (const Passed& passed : all_passed()) descriptors.push_back(passed.descriptor);
  return descriptors;
}

std::vector<std::string> passed_names() {
  std::vector<std::string> names;
  for (Passed& passed : all_passed()) {
    if (std::find(names.begin(), names.end(), passed.name) == names.end()) {
      names.push_back(std::move(passed.name));
    }
  }
  return names;
}

}  // namespace holdfast
