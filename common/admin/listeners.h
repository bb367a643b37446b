// The sockets that the admin server listens on, and connecting to its Unix one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/admin/unique_fd.h"
#include "common/base/result.h"
#include "common/config/address.h"

namespace holdfast {

// A listening Unix socket that removes its file, unless somebody else's has taken the place.
class UnixListener {
 public:
  // Mode 0660, and the group where given. What a dead process left at the path is replaced; a
  // socket that answers and anything that is not a socket are errors.
  static Result<UnixListener> bind(const std::string& path,
                                   const std::optional<std::string>& group);

  UnixListener(UnixListener&&) noexcept = default;
  UnixListener& operator=(UnixListener&&) = delete;
  ~UnixListener();

  int fd() const { return fd_.get(); }

 private:
  UnixListener(UniqueFd fd, std::string path);

  UniqueFd fd_;
  std::string path_;
  std::uint64_t device_ = 0;
  std::uint64_t inode_ = 0;
};

// A listening TCP socket that does not block; port 0 lets the kernel choose.
Result<UniqueFd> listen_tcp(const TcpAddress& address);
std::uint16_t bound_port(int fd);

// 0 when something listens at the path, else connect(2)'s errno.
int probe_unix(const std::string& path);

}  // namespace holdfast
