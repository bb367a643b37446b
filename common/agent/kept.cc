#include "common/agent/kept.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>

#include "common/admin/listeners.h"
#include "common/keeper/handover.h"
#include "common/keeper/keeper.h"

namespace holdfast {
namespace {

const char* what_follows(const Page& page) {
  Inheritance inherited = inheritance_of(page);
  if (inherited.discarded) return "its connections are given up: what it left killed too many";
  return inherited.state ? "its connections go on" : "its connections are reset";
}

constexpr int kLooksAtDying = 500;
constexpr useconds_t kLookInterval_us = 2000;

// Who listens at the other end of a connected Unix socket; 0: nobody whom this process can see.
pid_t peer_of(int descriptor) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? peer.pid : 0;
}

std::string first_line(const std::string& path) {
  std::string line;
  std::getline(std::ifstream(path), line);
  return line;
}

bool has_keeper(pid_t process) {
  std::string stat =
      first_line("/proc/" + std::to_string(process) + "/stat");  // "7 (name) S 6 ..."
  std::size_t name_end = stat.rfind(") ");
  if (name_end == std::string::npos) return false;
  std::string parent = std::to_string(std::atoi(stat.c_str() + name_end + 4));
  return first_line("/proc/" + parent + "/comm") == kKeeperName;
}

sigset_t keepers_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (int number : {SIGHUP, SIGUSR1, SIGTERM, SIGINT}) sigaddset(&signals, number);
  return signals;
}

}  // namespace

void wait_for_dying_agent(const std::string& admin_socket) {
  for (int look = 0; look < kLooksAtDying; ++look) {
    UnixConnection connection = connect_unix(admin_socket);
    if (connection.error != 0 || has_keeper(peer_of(connection.fd.get()))) return;
    usleep(kLookInterval_us);
  }
}

void add_keeper(AgentSnapshot& snapshot, const Page& page) {
  snapshot.keeper_pid = page.keeper_pid;
  snapshot.program = page.program;
  snapshot.state_format = kStateFormat;
  snapshot.start_reason = to_string(page.reason);
}

bool begins_again(const Page& page) {
  return page.keeper_pid != 0 && goes_on(page);
}

void tell_of_predecessor(Logger& logger, const Page& page) {
  bool planned = page.reason == StartReason::upgrade || page.reason == StartReason::restart ||
                 page.reason == StartReason::parked;
  if (planned) {
    logger.event(LogLevel::info, "handed_over",
                 {{"reason", to_string(page.reason)}, {"program", page.program}});
  }
  if (page.reason == StartReason::orphaned) {
    logger.event(LogLevel::error, "keeper_died",
                 {{"died_pid", page.death.pid}, {"follows", what_follows(page)}});
  }
  if (page.reason == StartReason::rolled_back) {
    logger.event(LogLevel::error, "hand_over_failed",
                 {{"program", page.next_program},
                  {"reason", page.refusal != 0 ? strerror(page.refusal)
                                               : "it does not run, or cannot read the state"}});
  }
  if (page.reason == StartReason::first && page.refusal != 0) {
    logger.event(LogLevel::warn, "no_keeper",
                 {{"reason", strerror(page.refusal)},
                  {"follows",
                   "connections end with this process: the host lets none share its "
                   "descriptors with another one"}});
  }
  bool after_death = page.reason == StartReason::killed || page.reason == StartReason::crashed;
  if (!after_death) return;
  const Death& death = page.death;
  const char* reason = death.stuck != 0 ? "its event loops stood still, and its keeper ended it"
                       : page.reason == StartReason::crashed ? "a fault of its own"
                                                             : "a signal from outside";
  logger.event(LogLevel::error, "agent_died",
               {{"died_pid", death.pid},
                {"signal", strsignal(death.signal)},
                {"follows", what_follows(page)},
                {"reason", reason}});
}

void tell_of_unkept(Logger& logger, const Page& page, const std::string& reason) {
  if (reason.empty() || page.keeper_pid == 0) return;
  logger.event(LogLevel::warn, "nothing_kept",
               {{"reason", "the host refuses memory that outlives it: " + reason},
                {"follows", "connections end with this process"}});
}

void listen_to_keeper() {
  sigset_t signals = keepers_signals();
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
}

void listen_no_more() {
  sigset_t signals = keepers_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

Pulse::Pulse(Loop& loop, Page& page, std::function<LoopsPause()> pause)
    : loop_(loop),
      page_(page),
      pause_(std::move(pause)),
      timer_(loop.timers(), [this] { beat(); }) {
  if (page.keeper_pid != 0) beat();
}

void Pulse::beat() {
  timer_.arm(loop_.now() + microseconds(page_.pulse_us));
  LoopsPause all_turn = pause_();
  page_.last_turn_ns = loop_.refresh().time_since_epoch().count() * 1000;
}

}  // namespace holdfast
