// A connected pair of sockets, for tests of what is written to one and read from the other.
#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include "tests/catch.h"

namespace holdfast::test {

// Non-blocking; closed at the end.
struct Sockets {
  int ends[2] = {-1, -1};
  Sockets() { REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0); }
  ~Sockets() {
    close(ends[0]);
    close(ends[1]);
  }
  Sockets(const Sockets&) = delete;
  Sockets& operator=(const Sockets&) = delete;
};

}  // namespace holdfast::test
