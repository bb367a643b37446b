#include "common/io/socket_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace holdfast {
namespace {

constexpr mode_t kEveryMode = 0777;

// The kernel tells it only to who changes it; what another thread makes meanwhile is closed to all.
mode_t process_umask() {
  mode_t mask = umask(kEveryMode);
  umask(mask);
  return mask;
}

Error failed(const std::string& what, int error) {
  std::string remedy = error == EPERM
                           ? "; only root may give a file to another user, or to a group "
                             "that the agent's user is not in"
                           : "";
  return Error{what + ": " + std::generic_category().message(error) + remedy};
}

// What chown(2) leaves alone.
template <typename Id>
Id wanted(const std::optional<Id>& now, const std::optional<Id>& before, Id own) {
  if (now) return *now;
  return before ? own : static_cast<Id>(-1);
}

Status change(int file, const SocketAccess& access, const SocketAccess& before) {
  uid_t user = wanted(access.user, before.user, geteuid());
  gid_t group = wanted(access.group, before.group, getegid());
  if (fchownat(file, "", user, group, AT_EMPTY_PATH) != 0) {
    return failed("its file cannot be given to its user and group", errno);
  }
  // A descriptor of O_PATH has no fchmod().
  std::string link = "/proc/self/fd/" + std::to_string(file);
  if (chmod(link.c_str(), access.mode.value_or(kEveryMode & ~process_umask())) != 0) {
    return failed("its file's mode cannot be set", errno);
  }
  return Ok{};
}

}  // namespace

Status set_socket_access(const std::string& path, const SocketAccess& access,
                         const SocketAccess& before) {
  int file = open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (file < 0) return failed("its file cannot be opened", errno);
  struct stat info {};
  Status done = fstat(file, &info) == 0 && S_ISSOCK(info.st_mode)
                    ? change(file, access, before)
                    : Status(Error{"something else than its socket is there"});
  close(file);
  return done;
}

}  // namespace holdfast
