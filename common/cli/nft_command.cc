// `nft`: prints the rules for the config, applies them, or takes exactly them away again.
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "common/cli/nft_rules.h"
#include "common/cli/subcommands.h"

// environ(7); some headers declare it, too.
extern char** environ;  // NOLINT(readability-redundant-declaration)

namespace holdfast {
namespace {

// The user that the units and the package give the agents.
constexpr const char* kOwnUser = "holdfast";

struct Ran {
  int code = 0;  // 127: it could not be started
  std::string output;
};

// What is asked may fail: that is an answer, and nobody's news.
enum class Errors { shown, hidden };

// Runs a program with `input` on its standard input; its standard error is ours, if shown. Some
// hundred bytes each way, so that neither pipe fills.
Ran run(std::vector<std::string> words, const std::string& input, Errors errors = Errors::shown) {
  int in[2], out[2];
  if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) return {127, ""};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in[0], 0);
  posix_spawn_file_actions_adddup2(&actions, out[1], 1);
  if (errors == Errors::hidden) {
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  }
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t child = 0;
  int failed = posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(in[0]);
  close(out[1]);
  Ran ran;
  std::size_t written = 0;
  while (failed == 0 && written < input.size()) {
    ssize_t size = write(in[1], input.data() + written, input.size() - written);
    if (size <= 0) break;
    written += static_cast<std::size_t>(size);
  }
  close(in[1]);
  char buffer[4096];
  for (ssize_t size; failed == 0 && (size = read(out[0], buffer, sizeof buffer)) > 0;) {
    ran.output.append(buffer, static_cast<std::size_t>(size));
  }
  close(out[0]);
  int status = 0;
  if (failed != 0 || waitpid(child, &status, 0) != child) return {127, ""};
  ran.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
  return ran;
}

Ran run_ip(const IpCommand& words, Errors errors = Errors::shown) {
  std::vector<std::string> all = {"ip"};
  all.insert(all.end(), words.begin(), words.end());
  return run(all, "", errors);
}

class Applier {
 public:
  Applier(const NftPlan& plan, const Invocation& call) : plan_(plan), call_(call) {
    // A service's or a user's PATH may lack them.
    const char* path = std::getenv("PATH");
    setenv("PATH",
           (std::string(path != nullptr ? path : "/usr/bin:/bin") + ":/usr/sbin:/sbin").c_str(), 1);
    signal(SIGPIPE, SIG_IGN);
  }

  // What is there already is made anew in one step, so that nothing slips by meanwhile.
  int apply() {
    if (plan_.rules.empty()) return remove();
    for (const NftPlan::Delivery& each : plan_.deliveries) {
      Ran shown = run_ip(NftPlan::show_rule(each));
      if (shown.output.empty() && run_ip(NftPlan::add_rule(each)).code != 0) return fail("ip rule");
      if (run_ip(NftPlan::add_route(each)).code != 0) return fail("ip route");
    }
    if (run({"nft", "-f", "-"}, plan_.rules).code != 0) return fail("nft");
    // What an earlier config needed, as when it was tproxy and is redirect now.
    for (const NftPlan::Delivery& each : plan_.all_deliveries) {
      if (plan_.delivers(each)) continue;
      if (const char* failed = withdraw(each)) return fail(failed);
    }
    return kExitOk;
  }

  // The rules first: what they mark would else be delivered nowhere.
  int remove() {
    std::string table = "table inet " + plan_.table;
    // The first line is there for the second to succeed where nothing was applied.
    int code = run({"nft", "-f", "-"}, table + "\ndelete " + table + "\n").code;
    for (const NftPlan::Delivery& each : plan_.all_deliveries) {
      if (const char* failed = withdraw(each)) return fail(failed);
    }
    return code == 0 ? kExitOk : fail("nft");
  }

 private:
  static constexpr int kMostRules = 16;  // of the same words; one is what is ever added

  // Takes a delivery's rule and route away, if they stand. Null, or what failed.
  static const char* withdraw(const NftPlan::Delivery& each) {
    for (int tries = 0; tries < kMostRules; ++tries) {
      if (run_ip(NftPlan::show_rule(each)).output.empty()) break;
      if (run_ip(NftPlan::delete_rule(each)).code != 0) return "ip rule";
    }
    // Without a route the table does not exist, which ip calls an error.
    Ran routes = run_ip({each.family, "route", "show", "table", each.route_table}, Errors::hidden);
    bool stands = !routes.output.empty();
    return stands && run_ip(NftPlan::flush_routes(each)).code != 0 ? "ip route" : nullptr;
  }

  int fail(const std::string& program) {
    call_.err
        << program_name(call_.kind) << ": " << program
        << " did not do it: the rules need root (CAP_NET_ADMIN), and the packages nftables and "
           "iproute2\n";
    return geteuid() == 0 ? kExitFailed : kExitPermission;
  }

  const NftPlan& plan_;
  const Invocation& call_;
};

std::string own_user() {
  if (getpwnam(kOwnUser) != nullptr) return kOwnUser;
  return std::to_string(geteuid());
}

// Whose traffic is left alone is a guess then, and a wrong one is seen by nobody: root's own
// connections would pass by the agents, and an agent of another user would catch its own link.
void tell_guess(const Invocation& call, const NftPlan& plan, const ClientConfig& config) {
  if (plan.rules.empty() || !config.nft.exclude.empty() || getpwnam(kOwnUser) != nullptr) return;
  passwd* self = getpwuid(geteuid());
  std::string who = self != nullptr ? self->pw_name : "uid " + std::to_string(geteuid());
  call.err << program_name(call.kind) << ": warning: there is no user " << kOwnUser
           << ", so the traffic of " << who
           << ", who runs this, is left alone, all of it; set [nft] exclude to the user that the "
              "agent runs as, as [\"uid:NAME\"]\n";
}

}  // namespace

int do_nft(const Invocation& call, NftAction action) {
  std::variant<AgentConfig, int> loaded = load_for(call);
  if (const int* code = std::get_if<int>(&loaded)) return *code;
  const AgentConfig& config = std::get<AgentConfig>(loaded);
  const auto* client = std::get_if<ClientConfig>(&config);
  NftPlan plan =
      client != nullptr ? nft_plan(*client, own_user()) : nft_plan(std::get<ServerConfig>(config));
  if (client != nullptr && action != NftAction::remove) tell_guess(call, plan, *client);
  switch (action) {
    case NftAction::print:
      call.out << to_string(plan);
      return kExitOk;
    case NftAction::apply:
      return Applier(plan, call).apply();
    case NftAction::remove:
      return Applier(plan, call).remove();
  }
  return kExitFailed;
}

}  // namespace holdfast
