#include "common/base/remedy.h"

#include <cerrno>

#include "tests/catch.h"

namespace holdfast {
namespace {

TEST_CASE(
    "what can be done about an address or a file is said, and nothing where nothing is known") {
  CHECK(tcp_listen_remedy(EADDRINUSE).find("ss -ltnp") != std::string::npos);
  CHECK(tcp_listen_remedy(EADDRNOTAVAIL).find("ip address") != std::string::npos);
  CHECK(tcp_listen_remedy(EACCES).find("CAP_NET_BIND_SERVICE") != std::string::npos);
  CHECK(tcp_listen_remedy(ENOMEM).empty());
  CHECK(unix_listen_remedy(EADDRINUSE).find("ss -lxp") != std::string::npos);
  CHECK(unix_listen_remedy(ENOENT) == "; create its folder");
  CHECK(write_remedy(EACCES).find("agent's user") != std::string::npos);
  CHECK(write_remedy(EROFS).find("ReadWritePaths=") != std::string::npos);
  CHECK(write_remedy(ENOSPC).empty());
}

}  // namespace
}  // namespace holdfast
