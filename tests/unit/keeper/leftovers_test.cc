#include "common/keeper/leftovers.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "tests/catch.h"

namespace holdfast {
namespace {

bool is_open(int descriptor) {
  return fcntl(descriptor, F_GETFD) >= 0;
}

// In a process of its own, whose table is its own; true: all that it looked at was right.
template <typename Look>
bool in_a_child(Look look) {
  pid_t child = fork();
  if (child == 0) _exit(look() ? 0 : 1);
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST_CASE("what the process was started with stays, and all that came later is closed") {
  CHECK(in_a_child([] {
    Page page;
    int before = open("/dev/null", O_RDONLY);
    note_started_with(page);
    int set = epoll_create1(EPOLL_CLOEXEC);
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) return false;
    close_leftovers(page);
    return is_open(0) && is_open(before) && !is_open(set) && !is_open(pair[0]) && !is_open(pair[1]);
  }));
}

TEST_CASE("the list of open descriptors is ascending and has not the one that lists them") {
  std::vector<int> open = open_descriptors();
  CHECK(std::is_sorted(open.begin(), open.end()));
  for (int each : open) CHECK(is_open(each));
}

TEST_CASE("what is open may be told to stay open over an exec") {
  CHECK(in_a_child([] {
    int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return keep_over_exec() && fcntl(file, F_GETFD) == 0;
  }));
}

}  // namespace
}  // namespace holdfast
