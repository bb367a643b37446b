#include "common/keeper/process.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <thread>

#include "tests/catch.h"

namespace holdfast {
namespace {

TEST_CASE("who the kernel killed for memory is counted, and nobody was meanwhile") {
  std::optional<std::uint64_t> before = count_memory_kills();
  REQUIRE(before.has_value());
  CHECK(count_memory_kills() == before);
}

int wait_for(pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

TEST_CASE("what a child opens its parent has, also after the child was killed") {
  int pipe_ends[2];
  REQUIRE(pipe(pipe_ends) == 0);
  pid_t child = fork_sharing_descriptors();
  if (child == 0) {
    int copy = fcntl(pipe_ends[1], F_DUPFD, 100);
    [[maybe_unused]] ssize_t written = write(pipe_ends[1], &copy, sizeof copy);
    raise(SIGKILL);
  }
  REQUIRE(child > 0);
  int copy = -1;
  REQUIRE(read(pipe_ends[0], &copy, sizeof copy) == sizeof copy);
  CHECK(WTERMSIG(wait_for(child)) == SIGKILL);
  CHECK(fcntl(copy, F_GETFD) >= 0);
  for (int each : {copy, pipe_ends[0], pipe_ends[1]}) close(each);
}

TEST_CASE("a child can have threads and locks of its own") {
  pid_t child = fork_sharing_descriptors();
  if (child == 0) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_t mutex;
    pthread_mutex_init(&mutex, &attributes);
    bool held = pthread_mutex_lock(&mutex) == 0;
    int other = 0;
    std::thread([&] { other = pthread_mutex_unlock(&mutex); }).join();
    _exit(held && other == EPERM ? 7 : 1);
  }
  int status = wait_for(child);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 7);
}

TEST_CASE("a bare fork's descriptors are its own, and it executes a program") {
  int pipe_ends[2];
  REQUIRE(pipe(pipe_ends) == 0);
  pid_t child = bare_fork();
  if (child == 0) {
    close(pipe_ends[0]);
    execl("/bin/sh", "sh", "-c", "exit 7", nullptr);
    _exit(127);
  }
  REQUIRE(child > 0);
  int status = wait_for(child);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 7);
  for (int each : pipe_ends) CHECK(close(each) == 0);
}

std::string name_of_this_process() {
  std::string name;
  std::getline(std::ifstream("/proc/self/comm"), name);
  return name;
}

TEST_CASE("names are set and restored, whatever the words") {
  char words[] = "holdfast-server\0-c\0a.toml";
  const std::string before(words, sizeof words);
  char* argv[] = {words, words + 16, words + 19, nullptr};
  std::string comm = name_of_this_process();
  ProcessNames names(3, argv);
  CHECK(names.words() == std::vector<std::string>{"holdfast-server", "-c", "a.toml"});
  names.set("hf-keeper");
  CHECK(std::string(words) == "hf-keeper");
  CHECK(words[16] == '\0');
  CHECK(name_of_this_process() == "hf-keeper");
  names.restore();
  CHECK(std::string(words, sizeof words) == before);
  CHECK(name_of_this_process() == comm);
}

TEST_CASE("the program's path is absolute and there") {
  std::string path = program_path();
  REQUIRE(!path.empty());
  CHECK(path[0] == '/');
  CHECK(access(path.c_str(), X_OK) == 0);
}

TEST_CASE("a process that was stopped is told from one that sleeps") {
  pid_t child = fork();
  if (child == 0) {
    for (;;) pause();
  }
  CHECK(!is_stopped(child));
  kill(child, SIGSTOP);
  int status = 0;
  waitpid(child, &status, WUNTRACED);
  CHECK(is_stopped(child));
  kill(child, SIGKILL);
  wait_for(child);
  CHECK(!is_stopped(child));
}

TEST_CASE("a process ends as another one ended") {
  pid_t child = fork();
  if (child == 0) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, nullptr);
    end_by_signal(SIGTERM);
    _exit(1);
  }
  CHECK(WTERMSIG(wait_for(child)) == SIGTERM);
}

}  // namespace
}  // namespace holdfast
