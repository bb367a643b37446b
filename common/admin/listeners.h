// The sockets that the admin server listens on, and connecting to its Unix one.
#pragma once

#include <cstdint>
#include <string>

#include "common/base/result.h"
#include "common/base/socket_access.h"
#include "common/config/address.h"
#include "common/log/unique_fd.h"

namespace holdfast {

// A listening Unix socket that removes its file, unless somebody else's has taken the place.
class UnixListener {
 public:
  // What a dead process left at the path is replaced; a socket that answers and anything that is
  // not a socket are errors.
  static Result<UnixListener> bind(const std::string& path, const SocketAccess& access);

  UnixListener(UnixListener&&) noexcept = default;
  UnixListener& operator=(UnixListener&&) = delete;
  ~UnixListener();

  int fd() const { return fd_.get(); }
  // Nothing has changed after an error.
  Status set_access(const SocketAccess& access);

 private:
  UnixListener(UniqueFd fd, std::string path, const SocketAccess& access);

  UniqueFd fd_;
  std::string path_;
  SocketAccess access_;
  std::uint64_t device_ = 0;
  std::uint64_t inode_ = 0;
};

// A socket that does not block, connected to the one that listens at the path; or none, and
// connect(2)'s errno.
struct UnixConnection {
  UniqueFd fd;
  int error = 0;
};
UnixConnection connect_unix(const std::string& path);

}  // namespace holdfast
