#include "common/admin/listeners.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "common/base/remedy.h"

namespace holdfast {
namespace {

constexpr mode_t kMode = 0660;
// A full one fails who asks at once (unix(7), EAGAIN); silent users are closed once accepted.
constexpr int kBacklog = SOMAXCONN;

std::string why(int error) {
  return std::strerror(error);
}

sockaddr_un unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

Status make_room(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return Ok{};  // bind() tells what is wrong, if anything
  if (!S_ISSOCK(info.st_mode)) {
    return Error{"the admin socket " + path +
                 " cannot be made: something that is not a socket is there; remove it, or set "
                 "another [admin] socket"};
  }
  int error = connect_unix(path).error;
  if (error == ECONNREFUSED) {
    ::unlink(path.c_str());
    return Ok{};
  }
  if (error == 0 || error == EAGAIN) {
    return Error{"the admin socket " + path +
                 " is answered by a running agent; stop that one first, or set another [admin] "
                 "socket"};
  }
  return Error{"the admin socket " + path + " cannot be tried: " + why(error)};
}

// What chown(2) leaves alone, unless it was given away before.
template <typename Id>
Id wanted(const std::optional<Id>& now, const std::optional<Id>& before, Id own) {
  if (now) return *now;
  return before ? own : static_cast<Id>(-1);
}

}  // namespace

UnixConnection connect_unix(const std::string& path) {
  if (path.size() > kMaxUnixPathBytes) return {UniqueFd(), ENAMETOOLONG};
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return {UniqueFd(), errno};
  sockaddr_un address = unix_address(path);
  int result = ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
  if (result != 0) return {UniqueFd(), errno};
  return {std::move(fd), 0};
}

UnixListener::UnixListener(UniqueFd fd, std::string path, const SocketAccess& access)
    : fd_(std::move(fd)), path_(std::move(path)), access_(access) {
  struct stat info {};
  if (::lstat(path_.c_str(), &info) == 0) {
    device_ = info.st_dev;
    inode_ = info.st_ino;
  }
}

UnixListener::~UnixListener() {
  struct stat info {};
  if (fd_ && ::lstat(path_.c_str(), &info) == 0 && info.st_dev == device_ &&
      info.st_ino == inode_) {
    ::unlink(path_.c_str());
  }
}

Result<UnixListener> UnixListener::bind(const std::string& path, const SocketAccess& access) {
  if (path.size() > kMaxUnixPathBytes) return Error{"the admin socket's path is too long: " + path};
  if (Status room = make_room(path); !room) return room.error();
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return Error{"the admin socket " + path + " cannot be made: " + why(errno)};
  // The file gets this mode: at no moment may others open it (unix(7)).
  ::fchmod(fd.get(), 0600);
  sockaddr_un address = unix_address(path);
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    int error = errno;
    std::string remedy = unix_listen_remedy(error);
    if (!remedy.empty()) remedy += ", or set another [admin] socket";
    return Error{"the admin socket " + path + " cannot be made: " + why(error) + remedy};
  }
  UnixListener listener(std::move(fd), path, {});
  if (Status given = listener.set_access(access); !given) return given.error();
  if (::listen(listener.fd(), kBacklog) == 0) return listener;
  return Error{"the admin socket " + path + " cannot be used: " + why(errno)};
}

Status UnixListener::set_access(const SocketAccess& access) {
  if (access == access_) return Ok{};
  // Owner and group first, so that nobody gets in who would not stay there.
  uid_t user = wanted(access.user, access_.user, ::geteuid());
  gid_t group = wanted(access.group, access_.group, ::getegid());
  if (::lchown(path_.c_str(), user, group) != 0) {
    return Error{"the admin socket " + path_ +
                 " cannot be given to its user and group: " + why(errno)};
  }
  if (::chmod(path_.c_str(), access.mode.value_or(kMode)) != 0) {
    return Error{"the admin socket " + path_ + " cannot have its mode: " + why(errno)};
  }
  access_ = access;
  return Ok{};
}

}  // namespace holdfast
