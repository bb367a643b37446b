#include "common/base/descriptors.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "tests/catch.h"

namespace holdfast {

TEST_CASE("what is open is listed in order, without what the looking itself opens") {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  std::vector<int> open = open_descriptors();
  CHECK(std::is_sorted(open.begin(), open.end()));
  for (int end : ends) CHECK(std::count(open.begin(), open.end(), end) == 1);
  close(ends[0]);
  close(ends[1]);
  std::vector<int> fewer = open_descriptors();
  CHECK(fewer.size() + 2 == open.size());
  for (int each : fewer) CHECK(std::count(open.begin(), open.end(), each) == 1);
}

TEST_CASE("a standard descriptor that was closed is nobody else's") {
  pid_t child = fork();
  if (child == 0) {
    close(STDIN_FILENO);
    close(STDERR_FILENO);
    occupy_standard_descriptors();
    bool taken = dup(STDOUT_FILENO) > STDERR_FILENO;
    char byte = 0;
    bool useless = read(STDIN_FILENO, &byte, 1) < 0 && write(STDERR_FILENO, &byte, 1) < 0;
    bool untouched = write(STDOUT_FILENO, &byte, 0) == 0;
    _exit(taken && useless && untouched ? 0 : 1);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WEXITSTATUS(status) == 0);
}

}  // namespace holdfast
