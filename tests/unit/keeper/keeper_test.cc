#include "common/keeper/keeper.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <functional>
#include <new>
#include <utility>

#include "common/keeper/handover.h"
#include "common/keeper/process.h"
#include "tests/catch.h"

namespace holdfast {
namespace {

// What agents tell the test, which is another process.
struct Notes {
  std::atomic<int> starts{0};
  std::atomic<int> agent{0};
  std::atomic<int> hangups{0};
  std::atomic<int> served{0};
  std::atomic<int> orphaned{0};
  std::atomic<int> oom_score{0};
  std::atomic<int> keepers_oom_score{0};
  std::atomic<std::uint32_t> deaths_in_row{0};
  std::atomic<bool> discarded{false};
  std::atomic<int> reason{-1};
  std::atomic<bool> config_from_file{true};
};

Notes& shared_notes() {
  void* memory =
      mmap(nullptr, sizeof(Notes), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(memory != MAP_FAILED);
  return *new (memory) Notes;
}

template <typename Condition>
void wait_until(Condition condition) {
  for (int i = 0; i < 20000 && !condition(); ++i) usleep(1000);
  REQUIRE(condition());
}

// A keeper in a process of its own, with agents that do what `agent` says.
class Kept {
 public:
  using Agent = std::function<int(Page& page, Notes& notes)>;

  explicit Kept(const Agent& agent) : notes_(shared_notes()) {
    process_ = fork();
    if (process_ != 0) return;
    for (int number = 1; number < SIGRTMIN; ++number) signal(number, SIG_DFL);  // Catch's
    char name[] = "holdfast-test";
    char* words[] = {name, nullptr};
    Keeper keeper(1, words);
    int code = keeper.keep([&] {
      Inheritance inherited = inheritance_of(keeper.page());
      notes_.discarded = inherited.discarded;
      notes_.deaths_in_row = inherited.deaths_in_row;
      notes_.reason = static_cast<int>(inherited.reason);
      notes_.agent = getpid();
      ++notes_.starts;
      return agent(keeper.page(), notes_);
    });
    _exit(code);  // of an agent's process, or of the keeper's
  }
  ~Kept() {
    if (process_ == 0) return;
    kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
  }
  Kept(const Kept&) = delete;
  Kept& operator=(const Kept&) = delete;

  Notes& notes() { return notes_; }
  pid_t process() const { return process_; }
  int wait() {
    int status = 0;
    waitpid(std::exchange(process_, 0), &status, 0);
    return status;
  }
  void wait_starts(int count) {
    wait_until([&] { return notes_.starts >= count; });
  }

 private:
  Notes& notes_;
  pid_t process_ = 0;
};

int serve(Page& page, Notes&) {
  page.ready = 1;
  for (;;) pause();
}

std::atomic<int>* hangups = nullptr;

TEST_CASE("an agent that exits by itself ends its keeper with the same code") {
  Kept kept([](Page&, Notes&) { return 78; });
  int status = kept.wait();
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 78);
  CHECK(kept.notes().starts == 1);
}

TEST_CASE("an agent that is killed is followed by another one, in a process of its own") {
  Kept kept(serve);
  kept.wait_starts(1);
  int first = kept.notes().agent;
  CHECK(first != kept.process());
  CHECK(kept.notes().reason == static_cast<int>(StartReason::first));
  kill(first, SIGKILL);
  kept.wait_starts(2);
  CHECK(kept.notes().agent != first);
  CHECK(kept.notes().reason == static_cast<int>(StartReason::killed));
}

// Serves, and leaves something to go on from; the next one exits with `code`, and the third serves.
Kept with_an_exit(int code, bool served) {
  return Kept([code, served](Page& page, Notes& notes) {
    if (notes.starts == 2) {
      page.ready = served ? 1 : 0;
      return code;
    }
    notes.config_from_file = page.config_from_file != 0;
    page.state = encoded({STDERR_FILENO, 1});
    notes.served = 1;
    return serve(page, notes);
  });
}

TEST_CASE("an agent that exits before it goes on from another one is followed by the next") {
  Kept kept = with_an_exit(1, false);
  wait_until([&] { return kept.notes().served != 0; });
  kill(kept.notes().agent, SIGKILL);
  kept.wait_starts(3);
  CHECK(kept.notes().reason == static_cast<int>(StartReason::killed));
  CHECK(kept.notes().deaths_in_row == 0);
  wait_until([&] { return !kept.notes().config_from_file; });
}

TEST_CASE("an agent that goes on from another one and exits otherwise ends its keeper") {
  auto [code, served] = GENERATE(std::pair{0, false}, std::pair{77, false}, std::pair{1, true});
  Kept kept = with_an_exit(code, served);
  wait_until([&] { return kept.notes().served != 0; });
  kill(kept.notes().agent, SIGKILL);
  int status = kept.wait();
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == code);
  CHECK(kept.notes().starts == 2);
}

TEST_CASE("a keeper whose words nobody reads goes on") {
  int before = dup(STDERR_FILENO);
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  close(ends[0]);
  dup2(ends[1], STDERR_FILENO);
  {
    // Nobody takes what is to be parked, and it says so.
    Kept kept([](Page& page, Notes& notes) {
      if (notes.starts == 1) {
        page.wish = static_cast<std::uint32_t>(StartReason::parked);
        return kExitHandOver;
      }
      return serve(page, notes);
    });
    kept.wait_starts(2);
    CHECK(kept.notes().reason == static_cast<int>(StartReason::rolled_back));
  }
  dup2(before, STDERR_FILENO);
  close(before);
  close(ends[1]);
}

TEST_CASE("an agent ends with its keeper") {
  Kept kept(serve);
  kept.wait_starts(1);
  int agent = kept.notes().agent;
  kill(kept.process(), SIGKILL);
  kept.wait();
  wait_until([&] { return kill(agent, 0) != 0; });
}

TEST_CASE("an agent of a service is told of its keeper's end, and ends by itself") {
  setenv("NOTIFY_SOCKET", "/run/nobody", 1);
  unsetenv("SYSTEMD_EXEC_PID");
  Kept kept([](Page& page, Notes& notes) {
    static Notes* told = nullptr;
    told = &notes;
    signal(SIGTERM, [](int) { ++told->hangups; });
    page.ready = 1;
    notes.served = 1;
    while (notes.hangups == 0) usleep(1000);
    notes.orphaned = getppid() != page.keeper_pid;
    for (;;) pause();
    return 0;
  });
  unsetenv("NOTIFY_SOCKET");
  kept.wait_starts(1);
  wait_until([&] { return kept.notes().served != 0; });
  int agent = kept.notes().agent;
  kill(kept.process(), SIGKILL);
  kept.wait();
  wait_until([&] { return kept.notes().hangups == 1; });
  wait_until([&] { return kept.notes().orphaned == 1; });
  kill(agent, SIGKILL);
}

TEST_CASE("a keeper that is told to end tells its agent, and ends with its code") {
  Kept kept([](Page& page, Notes& notes) {
    signal(SIGTERM, [](int) { _exit(3); });
    return serve(page, notes);
  });
  kept.wait_starts(1);
  usleep(20'000);
  kill(kept.process(), SIGTERM);
  int status = kept.wait();
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 3);
}

TEST_CASE("an agent that cannot listen yet ends by SIGTERM, and its keeper as well") {
  Kept kept(serve);
  kept.wait_starts(1);
  SECTION("told by its keeper") {
    kill(kept.process(), SIGTERM);
  }
  SECTION("told by somebody else") {
    kill(kept.notes().agent, SIGTERM);
  }
  int status = kept.wait();
  REQUIRE(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGTERM);
  CHECK(kept.notes().starts == 1);
}

TEST_CASE("SIGHUP is passed on, and waits for an agent that does not listen yet") {
  Kept kept([](Page& page, Notes& notes) {
    usleep(50'000);
    hangups = &notes.hangups;
    signal(SIGHUP, [](int) { ++*hangups; });
    sigset_t hangup;
    sigemptyset(&hangup);
    sigaddset(&hangup, SIGHUP);
    sigprocmask(SIG_UNBLOCK, &hangup, nullptr);
    return serve(page, notes);
  });
  kept.wait_starts(1);
  kill(kept.process(), SIGHUP);
  wait_until([&] { return kept.notes().hangups == 1; });
  kill(kept.process(), SIGHUP);
  wait_until([&] { return kept.notes().hangups == 2; });
  CHECK(kept.notes().starts == 1);
}

TEST_CASE("a state that killed three agents before they served is given up, at last all is") {
  Kept kept([](Page& page, Notes& notes) {
    page.state = encoded({9, 1});
    if (notes.starts >= 4 && !notes.discarded) _exit(1);
    raise(SIGABRT);
    return 0;
  });
  int status = kept.wait();
  REQUIRE(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGABRT);
  CHECK(kept.notes().starts == 6);
  CHECK(kept.notes().discarded);
}

TEST_CASE("however often an agent is killed, its state is kept") {
  Kept kept([](Page& page, Notes& notes) {
    page.state = encoded({9, 1});
    if (notes.starts > 4) page.ready = 1;  // no matter whether it serves by then
    if (notes.starts == 6) return notes.discarded ? 1 : 0;
    raise(SIGKILL);
    return 2;
  });
  int status = kept.wait();
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("an agent whose loops stand still is ended, and followed by another one") {
  setenv("WATCHDOG_USEC", "400000", 1);
  Kept kept([](Page& page, Notes&) {
    page.ready = 1;
    for (int turn = 1;; ++turn) {
      if (turn < 400) page.last_turn_ns = turn;  // for two seconds
      usleep(5000);
    }
    return 0;
  });
  unsetenv("WATCHDOG_USEC");
  kept.wait_starts(1);
  kept.wait_starts(2);
  CHECK(kept.notes().reason == static_cast<int>(StartReason::killed));
}

int oom_score_of(pid_t process) {
  int score = 0;
  std::ifstream("/proc/" + std::to_string(process) + "/oom_score_adj") >> score;
  return score;
}

// Once there is an agent the keeper opens nothing: an agent closes what it finds open and does not
// know, and opens its own under that number.
TEST_CASE("a keeper has lowered what the kernel would kill it for before there is an agent") {
  std::string before = oom_score();
  set_oom_score("500");  // anybody may raise it, and lower it again
  for (int i = 0; i < 10; ++i) {
    Kept kept([](Page&, Notes& notes) {
      notes.keepers_oom_score = oom_score_of(getppid());
      notes.oom_score = oom_score_of(getpid());
      return 0;
    });
    kept.wait();
    CHECK(kept.notes().keepers_oom_score == 400);
    CHECK(kept.notes().oom_score == 500);
  }
  set_oom_score(before);
}

TEST_CASE("an agent makes room for a program that is not there, and the old one goes on") {
  Kept kept([](Page& page, Notes& notes) {
    if (notes.starts == 1) {
      std::snprintf(page.next_program, sizeof page.next_program, "/nowhere/holdfast");
      page.wish = static_cast<std::uint32_t>(StartReason::upgrade);
      return kExitHandOver;
    }
    return page.reason == StartReason::rolled_back && page.config_from_file == 1 ? 4 : 5;
  });
  int status = kept.wait();
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 4);
}

TEST_CASE("an exit code is only an exit code when nobody named a program") {
  Kept kept([](Page&, Notes&) { return kExitHandOver; });
  int status = kept.wait();
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == kExitHandOver);
  CHECK(kept.notes().starts == 1);
}

TEST_CASE("without a keeper the agent runs in the process that was started") {
  setenv(kKeeperVariable, "no", 1);
  Kept kept([](Page& page, Notes&) { return page.keeper_pid == 0 ? 5 : 6; });
  unsetenv(kKeeperVariable);
  pid_t process = kept.process();
  int status = kept.wait();
  CHECK(kept.notes().agent == process);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 5);
}

}  // namespace
}  // namespace holdfast
