#include "common/cli/cli.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>

#include "common/base/descriptors.h"
#include "common/cli/host_libraries.h"
#include "common/cli/pairing.h"
#include "common/cli/subcommands.h"
#include "common/config/files.h"
#include "common/config/nearest.h"
#include "common/config/units.h"
#include "common/log/escape.h"

namespace holdfast {
namespace {

struct Words {  // what was read from the command line
  std::string config;
  std::string socket;
  std::string id;
  std::string level;
  std::string interval;  // of --watch
  std::string service;   // of ready
  QueryWords chosen;
  bool json = false;
  ReloadRequest reload;
  bool nft_apply = false;
  bool nft_remove = false;
  std::string link_state;  // "down" or "up"
  InviteWords invite;
  JoinWords join;
  bool keep = false;  // of uninvite
  std::string out;    // of support
  bool watch = false;
  DrainWords drain;
  HandOverWords hand_over;
  std::string unit;  // of stopping
};

bool shows(const std::string& name) {
  return name == "status" || name == "connections" || name == "links";
}

// Asks a running agent.
bool talks(const std::string& name) {
  return !name.empty() && name != "check" && name != "genpsk" && name != "nft" &&
         name != "invite" && name != "uninvite" && name != "join" && name != "doctor" &&
         name != "support";
}

Wanted wanted_by(const std::string& command) {
  if (command == "invite" || command == "join") return Wanted::place;
  return talks(command) ? Wanted::agent : Wanted::config;
}

bool prints_state(const std::string& name) {
  return shows(name) || name == "check" || name == "connection" || name == "ready" ||
         name == "reload" || name == "doctor";
}

std::string examples(const Program& program) {
  std::string name(program_name(program.kind));
  std::string config = "/etc/holdfast/" + std::string(to_string(program.kind)) + ".toml";
  std::string out = "Examples:\n";
  auto example = [&out, &name](const std::string& words, const std::string& what) {
    std::string line = "  " + name + " " + words;
    line.resize(std::max<std::size_t>(line.size() + 2, 64), ' ');
    out += line + "# " + what + "\n";
  };
  example("-c " + config, "run in the foreground");
  example("check", "every mistake, with file and line");
  example("status", "is the link up?");
  example("connections --sort bytes --limit 10 --watch", "as top does");
  example("connections --json", "for scripts");
  example("reload --dry-run", "what would a changed config change?");
  example("kill 3fa9c1d2-17", "end one connection");
  if (program.kind == AgentKind::client) {
    example("connect ssh", "standard input and output to the service ssh");
  }
  example("doctor", "what is wrong, and what to do about it");
  example("genpsk > edge-1.psk", "a new key, for both sides");
  out +=
      "\nWithout -c a subcommand takes $HOLDFAST_CONFIG, else the agent that runs here (its "
      "socket\n"
      "in /run/holdfast), else " +
      config +
      ".\n"
      "\nExit codes: 0 ok, 1 failed, 64 usage, 69 agent not reachable, 75 not ready,\n"
      "77 permission, 78 config.\n";
  return out;
}

void add_watch(CLI::App* command, Words& words) {
  command
      ->add_option("--watch", words.interval,
                   "Again and again, in place on a terminal; every second, or INTERVAL (2, 500ms)")
      ->type_name("[INTERVAL]")
      ->expected(0, 1);
}

void add_choice(CLI::App* command, Words& words) {
  auto add = [&](const char* key, const char* type, const char* what) {
    command->add_option(std::string("--") + key, words.chosen[key], what)->type_name(type);
  };
  add("service", "NAME", "Only this service's");
  add("state", "STATE", "Only in this state: opening, open, closing, detached");
  add("client", "TEXT", "Only where the application's address or the peer's name contains it");
  add("sort", "KEY",
      "opened (default: in that order) or, the largest first: age, idle, bytes, up, down, rate\n"
      "(with --watch), unacked, queued, replayed, detached, resumes");
  add("limit", "N", "No more than the first N");
}

void add_pairing(CLI::App& app, const Program& program, Words& words) {
  const char* no_start = "do not start the unit, where there is one";
  if (program.kind == AgentKind::client) {
    CLI::App* join = app.add_subcommand("join", "Make key and config out of an invite, and start");
    join->add_option("LINE", words.join.line, "what `holdfast-server invite` printed; - reads it")
        ->required();
    join->add_flag("--no-start", words.join.no_start, no_start);
    return;
  }
  CLI::App* invite = app.add_subcommand("invite", "Add a client; prints the line to join with");
  invite->add_option("NAME", words.invite.name, "the client's name")->required();
  invite
      ->add_option("--service", words.invite.services,
                   "What it may ask for; with =TARGET made where it is not there; may be repeated")
      ->type_name("S[=TARGET]")
      ->required()
      ->expected(1)
      ->take_all();
  invite
      ->add_option("--address", words.invite.addresses,
                   "Where clients reach this server; may be repeated")
      ->type_name("HOST:PORT")
      ->required()
      ->expected(1)
      ->take_all();
  invite
      ->add_option("--expires", words.invite.expires,
                   "When its access ends, joined or not: a date (2026-12-31), or from now (30d)")
      ->type_name("WHEN");
  invite->add_option("--out", words.invite.out, "Write the line to a new file of mode 600")
      ->type_name("FILE");
  invite->add_flag("--no-start", words.invite.no_start, no_start);
  CLI::App* uninvite = app.add_subcommand("uninvite", "Take away what invite made");
  uninvite->add_option("NAME", words.id, "the client's name")->required();
  uninvite->add_flag("--keep", words.keep, "its connections last until its carrier is lost");
}

void add_commands(CLI::App& app, const Program& program, Words& words) {
  app.add_subcommand("check", "Check the config without starting; prints file:line: key: reason");
  add_watch(app.add_subcommand("status", "How the link and its connections are"), words);
  auto* connections =
      app.add_subcommand("connections", "Every connection, or some of them; sorts and watches");
  add_watch(connections, words);
  add_choice(connections, words);
  app.add_subcommand("connection", "One connection's whole story")
      ->add_option("ID", words.id, "as `connections` shows it; the same at both ends")
      ->required();
  add_watch(app.add_subcommand("links", "Every link"), words);
  app.add_subcommand("kill", "End one connection: both applications get a reset")
      ->add_option("ID", words.id, "as `connections` shows it")
      ->required();
  if (program.kind == AgentKind::client) {
    app.add_subcommand("connect",
                       "Join standard input and output to a service, as ssh's ProxyCommand")
        ->add_option("SERVICE", words.id, "as the config calls it")
        ->required();
    app.add_subcommand("reconnect", "Replace the carrier; connections stay")
        ->add_option("LINK", words.id, "the link's name; all of them without");
    CLI::App* link = app.add_subcommand("link", "Hold a link down for maintenance, or let it go");
    link->add_option("STATE", words.link_state, "down or up")
        ->required()
        ->check(CLI::IsMember({"down", "up"}));
    link->add_option("LINK", words.id, "the link's name, where there are several");
  }
  CLI::App* drain =
      app.add_subcommand("drain", "Take no new connections, exit when the last one is over");
  drain->add_flag("--until-empty", words.drain.until_empty,
                  "however long that takes, not only for shutdown_timeout");
  drain->add_flag("--wait", words.drain.wait, "return when the agent has ended");
  app.add_subcommand("undrain", "Take new connections again, before the exit");
  app.add_subcommand("log-level", "Change what is logged until the agent restarts, or print it")
      ->add_option("LEVEL", words.level, "error, warn, info, debug or trace");
  app.add_subcommand("ready", "Exit 0 when usable, 75 when not")
      ->add_option("--service", words.service, "and this service's grant and target, as last known")
      ->type_name("NAME");
  CLI::App* reload = app.add_subcommand("reload", "Apply a changed config; connections stay");
  reload->add_flag("--dry-run", words.reload.dry_run, "only tell what would change");
  reload->add_flag("--revoke", words.reload.revoke,
                   "end connections of what is not allowed any more");
  app.add_subcommand("restart", "Start the agent anew, in the same process");
  app.add_subcommand("upgrade", "The same with another program; refused if it cannot go on")
      ->add_option("PROGRAM", words.hand_over.program, "its path; by default the one that runs");
  // For the units alone: not among what --help lists.
  app.add_subcommand("stopping", "Keep connections over a restart by the service manager")
      ->group("")
      ->add_option("--unit", words.unit, "that is being stopped")
      ->required();
  CLI::App* nft = app.add_subcommand(
      "nft", program.kind == AgentKind::client
                 ? "Print the nftables rules that turn connections to this config's listeners"
                 : "Print the nftables rules that source = \"client\" needs");
  auto* apply = nft->add_flag("--apply", words.nft_apply, "install them, in place of earlier ones");
  nft->add_flag("--remove", words.nft_remove, "take exactly them away")->excludes(apply);
  add_pairing(app, program, words);
  app.add_subcommand("doctor", "Walk the way to each service; stop at the first step that fails");
  app.add_subcommand("support", "Write one file for a bug report, without keys")
      ->add_option("--out", words.out, "the file, which must not be there yet")
      ->type_name("FILE");
  app.add_subcommand("genpsk", "Print a new pre-shared key; needs no config");
  app.require_subcommand(0, 1);
}

void set_up(CLI::App& app, const Program& program, Words& words) {
  std::string name(program_name(program.kind));
  app.name(name);
  app.description("Holdfast's " + std::string(to_string(program.kind)) +
                  " agent: TCP connections that outlive the network between them.\n"
                  "With -c and without a subcommand it runs in the foreground.");
  app.add_option("-c,--config", words.config, "Config file (TOML)")->type_name("FILE");
  app.add_option("--socket", words.socket, "The running agent's admin socket, instead of -c")
      ->type_name("PATH");
  app.add_flag("--json", words.json,
               "check, status, connections, connection, links, ready, reload, doctor: print JSON");
  app.set_version_flag("-V,--version", name + " " + HOLDFAST_VERSION);
  app.footer(examples(program));
  app.fallthrough();  // options may stand after the subcommand, too
  add_commands(app, program, words);
}

// "500ms", or seconds as watch(1) and top(1) take them; every second where nothing is said.
Result<Duration> watch_interval(const std::string& text) {
  if (text.empty()) return Duration(seconds(1));
  bool bare = text.find_first_not_of("0123456789") == std::string::npos;
  Result<Duration> interval = parse_duration(bare ? text + "s" : text);
  if (!interval) return interval;
  if (*interval < milliseconds(100) || *interval > seconds(3600)) {
    return Error{"an interval is from 100ms to 1h"};
  }
  return interval;
}

// What CLI11 cannot say by itself; empty when all is well.
std::string misuse(const std::string& command, const Words& words) {
  if (words.json && !prints_state(command)) {
    return "--json is for check, status, connections, connection, links, ready, reload and doctor";
  }
  if (!words.socket.empty() && !talks(command)) return "--socket is for asking a running agent";
  if (command.empty() && words.config.empty()) return "which config? add -c FILE";
  return "";
}

// Where there is none to be found, says so: the exit code.
std::optional<int> find(Invocation& call, const std::string& command, const Program& program) {
  if (command.empty() || command == "genpsk") return std::nullopt;
  SaidPlace said{call.config_path, call.socket};
  auto found = find_place(program.kind, said, wanted_by(command), program.places);
  if (auto* none = std::get_if<NotFound>(&found)) {
    call.err << program_name(program.kind) << ": " << escaped(none->reason);
    if (none->code == kExitUsage) call.err << "; see " << program_name(program.kind) << " --help";
    call.err << "\n";
    return none->code;
  }
  call.config_path = std::get<FoundPlace>(found).config;
  call.socket = std::get<FoundPlace>(found).socket;
  bool writes = command == "invite" || command == "uninvite" || command == "join";
  if (writes) call.config_path = resolve_path(call.config_path, "");
  return std::nullopt;
}

int show(const Invocation& call, const std::string& command, const Words& words) {
  ShowOptions options;
  options.chosen = words.chosen;
  if (words.watch) {
    Result<Duration> interval = watch_interval(words.interval);
    if (!interval) {
      call.err << program_name(call.kind) << ": --watch: " << interval.error().message << "\n";
      return kExitUsage;
    }
    options.watch = *interval;
  }
  return do_show(call, command, options);
}

int dispatch(const std::string& command, const Invocation& call, const Words& words,
             const Program& program) {
  if (command.empty()) return do_run(call, program);
  if (command == "check") return do_check(call, program);
  if (command == "genpsk") return do_genpsk(call);
  if (command == "doctor") return do_doctor(call, program);
  if (command == "support") return do_support(call, program, words.out);
  if (command == "invite") return do_invite(call, words.invite, program.places);
  if (command == "uninvite") return do_uninvite(call, words.id, words.keep);
  if (command == "join") return do_join(call, words.join, program.places);
  if (command == "connect") return do_connect(call, words.id);
  if (command == "nft") {
    return do_nft(call, words.nft_apply    ? NftAction::apply
                        : words.nft_remove ? NftAction::remove
                                           : NftAction::print);
  }
  if (command == "drain") return do_drain(call, words.drain);
  if (command == "restart" || command == "upgrade") return do_hand_over(call, words.hand_over);
  if (command == "stopping") return do_stopping(call, words.unit);
  if (command == "reload") return do_reload(call, words.reload);
  if (command == "link") return do_command(call, "link_" + words.link_state, words.id);
  if (command == "ready") return do_ready(call, words.service);
  if (command == "connection") return do_connection(call, words.id);
  if (command == "log-level") return do_log_level(call, words.level);
  if (shows(command)) return show(call, command, words);
  return do_command(call, command, words.id);
}

// "did you mean" for a first word that is no subcommand.
std::string hint(const CLI::App& app, int argc, const char* const* argv) {
  std::vector<std::string> known;
  for (const CLI::App* sub : app.get_subcommands({})) known.push_back(sub->get_name());
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    if (word.empty() || word[0] == '-') continue;
    if (std::find(known.begin(), known.end(), word) != known.end()) return "";
    if (auto near = nearest(word, known)) return " (did you mean \"" + *near + "\"?)";
  }
  return "";
}

// What CLI11 says of words that nobody expected, but for a first one that should be a subcommand.
std::string unexpected(const CLI::App& app, const CLI::Error& error) {
  std::vector<std::string> rest = app.remaining(true);
  bool word = !rest.empty() && !rest.front().empty() && rest.front()[0] != '-';
  if (!word || !app.get_subcommands().empty()) return error.what();
  return "unknown subcommand \"" + rest.front() + "\"";
}

int usage(const Program& program, const std::string& reason, std::ostream& err) {
  err << program_name(program.kind) << ": " << reason << "; see " << program_name(program.kind)
      << " --help\n";
  return kExitUsage;
}

}  // namespace

int run_command_line(int argc, const char* const* argv, const Program& program, std::ostream& out,
                     std::ostream& err, const Display& display) {
  Words words;
  CLI::App app;
  try {
    set_up(app, program, words);
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {  // --help, --version
    return app.exit(asked, out, err) == 0 ? kExitOk : kExitFailed;
  } catch (const CLI::Error& error) {
    return usage(program, unexpected(app, error) + hint(app, argc, argv), err);
  }
  auto chosen = app.get_subcommands();
  std::string command = chosen.empty() ? "" : chosen.front()->get_name();
  words.watch = shows(command) && chosen.front()->count("--watch") != 0;
  if (argc <= 1) {
    out << app.help() << std::flush;
    err << program_name(program.kind) << ": nothing to do: -c FILE runs the agent\n";
    return kExitUsage;
  }
  if (std::string wrong = misuse(command, words); !wrong.empty()) return usage(program, wrong, err);
  Invocation call{program.kind, words.config, words.socket, words.json, display, out, err};
  try {
    if (std::optional<int> code = find(call, command, program)) return *code;
    return dispatch(command, call, words, program);
  } catch (const std::exception& error) {
    err << program_name(program.kind) << ": internal error: " << error.what() << "\n";
    return kExitFailed;
  }
}

int run_command_line(int argc, const char* const* argv, const Program& program) {
  occupy_standard_descriptors();
  keep_host_libraries_out();
  const char* no_colour = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  bool is_terminal = ::isatty(STDOUT_FILENO) == 1;
  Display display;
  display.terminal = is_terminal && terminal != nullptr && std::string_view(terminal) != "dumb";
  display.colour = is_terminal && (no_colour == nullptr || *no_colour == '\0');
  int code = run_command_line(argc, argv, program, std::cout, std::cerr, display);
  std::cout.flush();
  if (code == kExitOk && !std::cout) {
    std::cerr << program_name(program.kind) << ": cannot write to standard output\n";
    return kExitFailed;
  }
  return code;
}

}  // namespace holdfast
