#include "common/keeper/keeper.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <optional>
#include <utility>
#include <vector>

#include "common/base/host_refused.h"
#include "common/keeper/handover.h"
#include "common/keeper/leftovers.h"
#include "common/keeper/parking.h"

namespace holdfast {
namespace {

// Without a service manager's watchdog: an agent whose loops stand still for this long is killed.
constexpr Duration kMostStandstill = seconds(60);
constexpr int kLooksPerStandstill = 4;
// How much less eager the kernel is to kill the keeper than its agent.
constexpr int kOomAdvantage = 100;
constexpr Duration kReadPatience = seconds(2);
// make_agent(): this host has no processes that share their descriptors (qemu-user has none), or a
// filter of system calls denies them.
constexpr pid_t kRefused = -2;
// When the host has no process for the next agent.
constexpr Duration kScarcityPause = milliseconds(100);
// When the host lacks what the next agent needs to begin. Peers do not wait for longer, by default.
constexpr Duration kStartPause = seconds(1);
constexpr Duration kStartPatience = seconds(300);

std::int64_t nanoseconds_of(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

// Stands still in a suspend.
Duration awake() {
  return microseconds(nanoseconds_of(CLOCK_MONOTONIC) / 1000);
}

Page& make_page() {
  void* memory =
      mmap(nullptr, sizeof(Page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) host_refused("a page of memory", errno);
  return *new (memory) Page;
}

// Where the variable names the keeper, whose environment it was, it now names this agent.
void rename_process(const char* variable, pid_t keeper) {
  const char* value = std::getenv(variable);
  if (value == nullptr || std::atoi(value) != keeper) return;
  setenv(variable, std::to_string(getpid()).c_str(), 1);
}

Duration most_standstill() {
  const char* watchdog_us = std::getenv("WATCHDOG_USEC");
  long long interval = watchdog_us != nullptr ? std::atoll(watchdog_us) : 0;
  return interval > 0 ? Duration(microseconds(interval / 2)) : kMostStandstill;
}

}  // namespace

Keeper::Keeper(int argc, char** argv) : names_(argc, argv), page_(make_page()) {}

int Keeper::keep(const std::function<int()>& agent) {
  const char* wanted = std::getenv(kKeeperVariable);
  if (wanted != nullptr && std::string(wanted) == "no") return agent();
  begin();
  std::uint32_t short_lives = 0;
  for (;;) {
    page_.ready = 0;
    page_.wish = 0;
    page_.last_turn_ns = 0;
    std::optional<std::uint64_t> memory_kills = count_memory_kills();
    pid_t pid = make_agent();
    if (pid == kRefused) return stand_alone(agent);
    if (pid < 0) return end_like(stop_);
    if (pid == 0) {
      become_agent();
      return agent();
    }
    names_.set(kKeeperName);
    Duration began = awake();
    End end = wait_for(pid);
    if (page_.ready != 0) failing_since_.reset();
    if (WIFEXITED(end.status)) {
      bool makes_room = WEXITSTATUS(end.status) == kExitHandOver && page_.wish != 0;
      if (!makes_room && begins_again(WEXITSTATUS(end.status), began)) continue;
      if (!makes_room) return WEXITSTATUS(end.status);
      page_.death = {end.pid, 0, 0, kExitHandOver, nanoseconds_of(CLOCK_BOOTTIME)};
      if (page_.wish == static_cast<std::uint32_t>(StartReason::parked)) {
        if (leave_parked()) return 0;
        continue;
      }
      if (stop_ != 0) return 0;
      hand_over();
      continue;
    }
    int signal = WTERMSIG(end.status);
    bool from_outside = !stuck_ && memory_kills && count_memory_kills() == memory_kills;
    DeathFacts death{signal, page_.ready != 0, awake() - began, from_outside};
    page_.death = {end.pid, signal, stuck_ ? 1 : 0, 0, nanoseconds_of(CLOCK_BOOTTIME)};
    ++page_.deaths;
    if (stop_ != 0 || asks_for_end(signal)) return end_like(signal);
    page_.deaths_in_row = deaths_in_row(page_.deaths_in_row, death);
    Verdict verdict = judge(page_.deaths_in_row);
    if (verdict.give_up) return end_like(signal);
    page_.discard = verdict.discard ? 1 : 0;
    page_.config_from_file = 0;
    page_.reason = is_crash(signal) ? StartReason::crashed : StartReason::killed;
    short_lives = was_short(death) && page_.deaths > 1 ? short_lives + 1 : 0;
    pause_for(pause_before_start(short_lives));
    if (stop_ != 0) return end_like(stop_);
    if (is_crash(signal) && reads_state(page_.program)) execute(page_.program);
  }
}

void Keeper::begin() {
  pid_ = getpid();
  std::snprintf(page_.program, sizeof page_.program, "%s", program_path().c_str());
  signal(SIGCHLD, SIG_DFL);  // ignored, as it may have been inherited, children end unseen
  signal(SIGPIPE, SIG_IGN);  // what it says may have no reader
  sigemptyset(&signals_);
  for (int number : {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGUSR1}) sigaddset(&signals_, number);
  sigprocmask(SIG_BLOCK, &signals_, nullptr);
  oom_score_ = oom_score();
  const char* text = std::getenv(kHandoverVariable);
  if (text == nullptr || !take_handover(text, page_, oom_score_)) take_over_parked();
  unsetenv(kHandoverVariable);
  // Not once there is an agent: in the table that they share it closes what it does not know, and
  // opens its own under that number, which would then be closed here.
  set_oom_score(std::to_string(std::max(std::atoi(oom_score_.c_str()) - kOomAdvantage, -1000)));
  page_.keeper_pid = pid_;
  page_.parks_orphaned = is_service(pid_) ? 1 : 0;
  under_watchdog_ = std::getenv("WATCHDOG_USEC") != nullptr;
  look_interval_ = most_standstill() / kLooksPerStandstill;
  page_.pulse_us = look_interval_.count() / 2;
}

pid_t Keeper::make_agent() {
  while (stop_ == 0) {
    pid_t pid = fork_sharing_descriptors();
    if (pid >= 0) return pid;
    bool unknown = errno == EINVAL || errno == ENOSYS || errno == EPERM;
    if (page_.deaths == 0 && unknown) {
      page_.refusal = errno;
      return kRefused;
    }
    if (page_.deaths == 0) host_refused(kProcess, errno);
    pause_for(kScarcityPause);  // there is something to lose: it will be had later
  }
  return -1;
}

int Keeper::stand_alone(const std::function<int()>& agent) {
  page_.keeper_pid = 0;
  set_oom_score(oom_score_);
  sigprocmask(SIG_UNBLOCK, &signals_, nullptr);
  return agent();
}

void Keeper::become_agent() const {
  int at_keepers_end = page_.parks_orphaned != 0 ? SIGTERM : SIGKILL;
  prctl(PR_SET_PDEATHSIG, at_keepers_end);
  if (getppid() != pid_) kill(getpid(), at_keepers_end);
  names_.restore();
  set_oom_score(oom_score_);
  rename_process("LISTEN_PID", pid_);
  rename_process("WATCHDOG_PID", pid_);
  let_go_of_parked(page_, parked_end_);
  // What there is to go on from the agent sorts out itself (state/relics.h).
  bool goes_on = inheritance_of(page_).state.has_value();
  if (page_.reason != StartReason::first && !goes_on) close_leftovers(page_);
  // SIGHUP and SIGUSR1 wait until it listens to them; so does its end, if it is to park then what
  // it goes on with.
  sigset_t at_once;
  sigemptyset(&at_once);
  sigaddset(&at_once, SIGCHLD);
  bool ends_at_once = page_.parks_orphaned == 0 || !goes_on;
  if (ends_at_once) {
    for (int number : {SIGTERM, SIGINT}) sigaddset(&at_once, number);
  }
  sigprocmask(SIG_UNBLOCK, &at_once, nullptr);
}

Keeper::End Keeper::wait_for(pid_t agent) {
  for (int number = 1; number <= 64; ++number) {
    if (std::exchange(waiting_[number], false)) kill(agent, number);
  }
  seen_turn_ = 0;
  looks_ = 0;
  stuck_ = false;
  Duration next_look = awake() + look_interval_;
  for (End end{};;) {
    int number = next_signal(std::max(next_look - awake(), Duration{}));
    if (reap(agent, end)) return end;
    if (number != 0 && number != SIGCHLD) pass_on(number, agent);
    if (awake() < next_look) continue;
    look_at(agent);
    next_look = awake() + look_interval_;
  }
}

bool Keeper::reap(pid_t agent, End& end) {
  // Process 1 of a container is also whose parents are gone.
  for (;;) {
    int status = 0;
    pid_t pid = waitpid(-1, &status, WNOHANG);
    if (pid <= 0) return false;
    if (pid != agent) continue;
    end = {pid, status};
    return true;
  }
}

int Keeper::next_signal(Duration patience) {
  std::int64_t us = patience.count();
  timespec time{static_cast<time_t>(us / 1'000'000), static_cast<long>(us % 1'000'000) * 1000};
  siginfo_t about{};
  int number = sigtimedwait(&signals_, &about, &time);
  if (number <= 0) return 0;
  from_terminal_ = about.si_code == SI_KERNEL;
  if (number == SIGTERM || number == SIGINT) stop_ = number;
  return number;
}

void Keeper::pass_on(int number, pid_t agent) {
  if (!from_terminal_) kill(agent, number);
}

// Counts its own looks, not the time: after a suspend, or when this process was stopped or starved
// itself, much time is over of which the agent had nothing. Whoever stops an agent (a debugger, a
// SIGSTOP) wants it to stand still; but for a service manager that would end both a moment later.
void Keeper::look_at(pid_t agent) {
  std::int64_t turn = page_.last_turn_ns;
  bool waits_for_start = turn == 0;
  if (waits_for_start || turn != seen_turn_ || (!under_watchdog_ && is_stopped(agent))) {
    seen_turn_ = turn;
    looks_ = 0;
    return;
  }
  if (++looks_ < kLooksPerStandstill) return;
  stuck_ = true;
  kill(agent, SIGKILL);
}

void Keeper::take_over_parked() {
  std::optional<int> queue = take_parked();
  note_started_with(page_);
  if (!queue) return;
  std::int32_t* end = page_.started_with + page_.started_with_count;
  page_.started_with_count -= static_cast<std::uint32_t>(
      end - std::remove(page_.started_with, end, static_cast<std::int32_t>(*queue)));
  Result<Unpacked> found = unpack_queue(*queue);
  bool ours = found && take_parked_text(found->text, page_);
  page_.stored = ours ? 1 : 0;
  if (ours) {
    parked_end_ = found->write_end;
    return;
  }
  forget_parked();
  close_leftovers(page_);  // of which nobody knows what they are
  std::fprintf(stderr, "The connections of before are lost: %s\n",
               found ? "what was parked is not ours" : found.error().message.c_str());
}

bool Keeper::leave_parked() {
  Status parked = park(page_, StartReason::parked);
  if (parked) return true;
  page_.refusal = errno;
  std::fprintf(stderr, "Connections cannot outlive a restart: %s\n",
               parked.error().message.c_str());
  page_.reason = StartReason::rolled_back;
  return false;
}

void Keeper::pause_for(Duration patience) {
  Duration end = awake() + patience;
  while (stop_ == 0 && awake() < end) {
    int number = next_signal(end - awake());
    if (number == SIGHUP || number == SIGUSR1) waiting_[number] = true;
  }
}

// What the host lacks just now (a folder, memory) it may have again in a moment. The next agent
// begins with the config in force: a new one may be what asks for too much.
bool Keeper::begins_again(int code, Duration began) {
  // With another code it has waited itself (agent/missing_files.h), or been told to end.
  bool asked_for = stop_ != 0 || code != kExitLacking || page_.ready != 0;
  if (asked_for || !goes_on(page_)) return false;
  failing_since_ = failing_since_.value_or(began);
  if (awake() - *failing_since_ >= kStartPatience) return false;
  page_.config_from_file = 0;
  pause_for(kStartPause);
  return true;
}

void Keeper::hand_over() {
  std::string program = page_.next_program[0] != '\0' ? page_.next_program : page_.program;
  page_.reason = static_cast<StartReason>(page_.wish.load());
  page_.config_from_file = 1;
  page_.deaths_in_row = 0;
  page_.discard = 0;
  page_.refusal = 0;
  if (reads_state(program)) {
    execute(program);
    page_.refusal = errno;
  }
  page_.reason = StartReason::rolled_back;
}

bool Keeper::reads_state(const std::string& program) const {
  pid_t child = bare_fork();
  if (child == 0) {
    syscall(SYS_close_range, 3U, ~0U, 0U);
    sigprocmask(SIG_UNBLOCK, &signals_, nullptr);
    execl(program.c_str(), names_.words()[0].c_str(), kCanReadOption, kStateFormat, nullptr);
    _exit(127);
  }
  for (Duration end = awake() + kReadPatience; child > 0 && awake() < end;) {
    int status = 0;
    if (waitpid(child, &status, WNOHANG) == child) {
      return WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }
    usleep(1000);
  }
  if (child > 0) kill(child, SIGKILL);
  return false;
}

void Keeper::execute(const std::string& program) {
  try {
    if (!keep_over_exec()) return;
    std::vector<char*> words;
    std::vector<std::string> copies = names_.words();
    for (std::string& each : copies) words.push_back(each.data());
    words.push_back(nullptr);
    setenv(kHandoverVariable, handover_text(page_, oom_score_).c_str(), 1);
    execv(program.c_str(), words.data());
  } catch (const std::exception&) {  // no memory: the agent is cloned, which takes none
  }
  int error = errno;
  unsetenv(kHandoverVariable);
  errno = error;
}

int Keeper::end_like(int number) const {
  end_by_signal(number);
  return 128 + number;
}

}  // namespace holdfast
