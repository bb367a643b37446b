#include "common/cli/cli.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "common/config/psk.h"
#include "common/log/unique_fd.h"
#include "tests/catch.h"
#include "tests/unit/fixtures.h"

namespace holdfast {
namespace {

// Where nothing is: what runs on the machine of the test is not its business.
const AgentPlaces kNowhere{"/nonexistent/run", "/nonexistent/etc"};
const Program kClient{.kind = AgentKind::client, .run = nullptr, .places = kNowhere};
const Program kServer{.kind = AgentKind::server, .run = nullptr, .places = kNowhere};

bool has(const std::string& text, const std::string& word) {
  return text.find(word) != std::string::npos;
}

// A config in a folder of its own, and perhaps a made-up agent that answers on its socket.
struct Site {
  Site() { write_config("unsafe_plaintext = true\n"); }
  void write_config(const std::string& link) {
    write_file(config, "name = \"edge-1\"\n[link]\nserver = [\"127.0.0.1:7443\"]\n" + link +
                           "[services.web]\nlisten = \"127.0.0.1:8080\"\n[admin]\nsocket = \"" +
                           socket + "\"\n");
  }
  void serve() {
    auto started = AdminServer::start({socket, std::nullopt, {}}, agent);
    REQUIRE(started.ok());
    server = std::move(*started);
  }
  Ran run(std::vector<std::string> words) const {
    words.insert(words.end(), {"-c", config});
    return run_words(std::move(words), kClient);
  }

  Folder folder;
  std::string config = folder / "client.toml";
  std::string socket = folder / "agent.sock";
  FakeAgent agent;
  std::unique_ptr<AdminServer> server;
};

TEST_CASE("wrong usage is 64 with one line that says where help is") {
  using Words = std::vector<std::string>;
  for (const Words& words :
       {Words{"explode"}, Words{"--no-such-option"}, Words{"status"}, Words{"kill"},
        Words{"kill", "-c", "x"}, Words{"-c"}, Words{"status", "links", "-c", "x"},
        Words{"genpsk", "--json"}, Words{"--json", "-c", "x"}, Words{"--socket", "x"},
        Words{"check", "--socket", "x"}, Words{"ready", "extra", "-c", "x"}}) {
    for (const Program& program : {kClient, kServer}) {
      Ran ran = run_words(words, program);
      INFO(ran.out << ran.err);
      CHECK(ran.code == kExitUsage);
      CHECK(has(ran.err, "--help"));
      CHECK(std::count(ran.err.begin(), ran.err.end(), '\n') == 1);
    }
  }
}

TEST_CASE("a bare program prints its help, and says by its exit code that nothing runs") {
  for (const Program& program : {kClient, kServer}) {
    Ran bare = run_words({}, program);
    CHECK(bare.code == kExitUsage);
    CHECK(bare.out == run_words({"--help"}, program).out);
    CHECK(has(bare.err, "-c FILE runs the agent"));
  }
}

TEST_CASE("a mistyped subcommand is answered with the nearest one") {
  std::string said = run_words({"-c", "x", "statsu"}, kClient).err;
  CHECK(has(said, "unknown subcommand \"statsu\" (did you mean \"status\"?); see"));
  CHECK(has(run_words({"frobnicate"}, kServer).err, "unknown subcommand \"frobnicate\"; see"));
  CHECK(has(run_words({"ready", "-c", "x", "frobnicate"}, kClient).err, "frobnicate"));
}

TEST_CASE("reconnect is the client's alone") {
  CHECK(run_words({"reconnect", "-c", "x"}, kServer).code == kExitUsage);
}

TEST_CASE("version and help are 0") {
  for (const char* word : {"-V", "--version"}) {
    Ran ran = run_words({word}, kServer);
    CHECK(ran.code == kExitOk);
    CHECK(ran.out == std::string("holdfast-server ") + HOLDFAST_VERSION + "\n");
  }
  Ran help = run_words({"--help"}, kClient);
  CHECK(help.code == kExitOk);
  for (const char* word : {"check", "connections", "Examples:", "Exit codes:"}) {
    CHECK(has(help.out, word));
  }
  CHECK(run_words({"kill", "--help"}, kClient).code == kExitOk);
}

TEST_CASE("genpsk prints one line that a psk_file holds, new each time") {
  Ran one = run_words({"genpsk"}, kClient), two = run_words({"genpsk"}, kServer);
  CHECK(one.code == kExitOk);
  CHECK(parse_psk(one.out).ok());
  CHECK(one.out.back() == '\n');
  CHECK(one.out != two.out);
}

TEST_CASE("reload asks for what was asked, and prints each change with what it does") {
  Site site;
  ReloadReport report;
  report.outcome = ReloadReport::Outcome::dry_run;
  report.changes.push_back({"services.web.listen", "127.0.0.1:1", "127.0.0.1:2",
                            ReloadEffect::listener, "services.web", 3});
  report.changes.push_back(
      {"services.old", "", "", ReloadEffect::taken_away, "services.old", std::nullopt});
  site.agent.set_reload(report);
  site.serve();
  Ran ran = site.run({"reload", "--dry-run", "--revoke"});
  CHECK(ran.code == kExitOk);
  CHECK(ran.out ==
        "services.web.listen: 127.0.0.1:1 -> 127.0.0.1:2: listens there instead; live connections "
        "stay (3 live)\n"
        "services.old: taken away: nothing new is accepted; what lives stays unless it is revoked\n"
        "2 changes; nothing was applied (dry run)\n");
  REQUIRE(site.agent.reloads().size() == 1);
  CHECK(site.agent.reloads()[0].dry_run);
  CHECK(site.agent.reloads()[0].revoke);
}

TEST_CASE("a refused reload tells every problem and exits as check does") {
  Site site;
  ReloadReport report;
  report.problems.push_back(
      {"/etc/c.toml", 7, "link.heartbeat", Severity::error, "needs a unit", "as in \"1s\"", {}});
  site.agent.set_reload(report);
  site.serve();
  Ran ran = site.run({"reload"});
  CHECK(ran.code == kExitConfig);
  CHECK(has(ran.err, "/etc/c.toml:7: link.heartbeat: needs a unit"));
  CHECK(has(ran.err, "the old config stays"));
  report.problems[0].kind = ProblemKind::permission;
  site.agent.set_reload(report);
  CHECK(site.run({"reload"}).code == kExitPermission);
  report.problems.clear();
  report.reason = "cannot listen on 127.0.0.1:80: permission denied";
  site.agent.set_reload(report);
  ran = site.run({"reload"});
  CHECK(ran.code == kExitFailed);
  CHECK(has(ran.err, "cannot listen on 127.0.0.1:80"));
}

TEST_CASE("reload --json prints the agent's report") {
  Site site;
  ReloadReport report;
  report.outcome = ReloadReport::Outcome::applied;
  report.changes.push_back({"log.level", "info", "debug", ReloadEffect::at_once, "", std::nullopt});
  site.agent.set_reload(report);
  site.serve();
  Ran ran = site.run({"reload", "--json"});
  CHECK(ran.code == kExitOk);
  auto read = parse_reload(ran.out);
  REQUIRE(read.ok());
  CHECK(read->outcome == ReloadReport::Outcome::applied);
  REQUIRE(read->changes.size() == 1);
  CHECK(read->changes[0].effect == ReloadEffect::at_once);
  CHECK(read->changes[0].after == "debug");
}

TEST_CASE("link down and up name their link") {
  Site site;
  site.serve();
  CHECK(site.run({"link", "down", "lab"}).code == kExitOk);
  CHECK(site.run({"link", "up"}).code == kExitOk);
  auto commands = site.agent.commands();
  REQUIRE(commands.size() == 2);
  CHECK(commands[0].kind == Command::Kind::link_down);
  CHECK(commands[0].id == "lab");
  CHECK(commands[1].kind == Command::Kind::link_up);
  CHECK(site.run({"link", "sideways"}).code == kExitUsage);
}

TEST_CASE("check tells that a good config is ok") {
  Site site;
  Ran ran = site.run({"check"});
  CHECK(ran.code == kExitOk);
  CHECK(has(ran.out, site.config + ": ok\n"));
}

TEST_CASE("check tells which fragments it read, and their mistakes") {
  Site site;
  REQUIRE(mkdir((site.folder / "conf.d").c_str(), 0755) == 0);
  const std::string fragment = site.folder / "conf.d/a.toml";
  write_file(fragment, "[log]\nlevel = \"debug\"\n");
  Ran ran = site.run({"check"});
  CHECK(ran.code == kExitOk);
  CHECK(has(ran.out, site.config + ": ok\n" + fragment + ": ok\n"));
  write_file(fragment, "[log]\nlevel = \"loud\"\n");
  ran = site.run({"check"});
  CHECK(ran.code == kExitConfig);
  CHECK(has(ran.out, fragment + ":2: log.level: "));
}

TEST_CASE("a running agent is asked although its config has mistakes, as long as it can be found") {
  Site site;
  site.serve();
  site.write_config("unsafe_plaintext = true\nheartbeet = \"1s\"\n");
  CHECK(site.run({"status"}).code == kExitOk);
  REQUIRE(mkdir((site.folder / "conf.d").c_str(), 0755) == 0);
  write_file(site.folder / "conf.d/a.toml", "[log\n");
  CHECK(site.run({"status"}).code == kExitOk);
  write_file(site.config, "name = \n");
  Ran ran = site.run({"status"});
  CHECK(ran.code == kExitConfig);
  CHECK(has(ran.err, site.config + ":1: "));
}

TEST_CASE("check tells file, line and key of a mistake, for people and as JSON") {
  Site site;
  site.write_config("unsafe_plaintext = true\nheartbeet = \"1s\"\n");
  Ran ran = site.run({"check"});
  CHECK(ran.code == kExitConfig);
  CHECK(has(ran.out, site.config + ":5: link.heartbeet: "));
  CHECK_FALSE(has(ran.out, ": ok"));
  Ran json = site.run({"check", "--json"});
  CHECK(json.code == kExitConfig);
  CHECK(has(json.out, R"("line": 5)"));
}

TEST_CASE("a secret that others can read is 77") {
  Site site;
  write_file(site.folder / "key", run_words({"genpsk"}, kClient).out);
  ::chmod((site.folder / "key").c_str(), 0644);
  site.write_config("unsafe_plaintext = true\npsk_file = \"" + (site.folder / "key") + "\"\n");
  CHECK(site.run({"check"}).code == kExitPermission);
  ::chmod((site.folder / "key").c_str(), 0600);
  CHECK(site.run({"check"}).code == kExitOk);
}

TEST_CASE(
    "a credential that only the service can see is no mistake to check, but to start without") {
  Site site;
  site.write_config("psk_file = \"credential:edge-1\"\n");
  Ran ran = site.run({"check"});
  CHECK(ran.code == kExitOk);
  CHECK(has(ran.out, "warning: not checked: "));
  CHECK(has(ran.out, "LoadCredential=edge-1:"));
  CHECK(has(ran.out, site.config + ": ok\n"));
  CHECK(has(site.run({"check", "--json"}).out, R"("kind": "credential")"));
  CHECK(site.run({}).code == kExitConfig);
}

TEST_CASE("a missing config is 78") {
  CHECK(run_words({"check", "-c", "/nonexistent.toml"}, kClient).code == kExitConfig);
  CHECK(run_words({"status", "-c", "/nonexistent.toml"}, kClient).code == kExitConfig);
  CHECK(run_words({"-c", "/nonexistent.toml"}, kClient).code == kExitConfig);
}

TEST_CASE("without an agent the exit code is 69 and the socket is named") {
  Site site;
  using Words = std::vector<std::string>;
  for (const Words& words : {Words{"ready"}, Words{"status"}, Words{"connections"}, Words{"links"},
                             Words{"kill", "x"}, Words{"reconnect"}, Words{"drain"}}) {
    Ran ran = site.run(words);
    CHECK(ran.code == kExitUnreachable);
    CHECK(has(ran.err, site.socket));
    CHECK(std::count(ran.err.begin(), ran.err.end(), '\n') == 1);
  }
}

TEST_CASE("state is shown to people and to programs") {
  Site site;
  site.serve();
  CHECK(has(site.run({"status"}).out, "link home: live for 3m12s"));
  CHECK(has(site.run({"links"}).out, "198.51.100.10:7443"));
  CHECK(has(site.run({"connections"}).out, "3fa9c1d2-17"));
  for (const char* word : {"status", "links", "connections", "ready"}) {
    Ran ran = site.run({word, "--json"});
    CHECK(ran.code == kExitOk);
    CHECK((ran.out.front() == '{' || ran.out.front() == '['));
  }
}

TEST_CASE("options may stand before or after the subcommand") {
  Site site;
  site.serve();
  std::string after = run_words({"links", "--json", "-c", site.config}, kClient).out;
  CHECK(after.front() == '[');
  CHECK(run_words({"-c", site.config, "--json", "links"}, kClient).out == after);
  CHECK(run_words({"--json", "links", "--config", site.config}, kClient).out == after);
  CHECK(run_words({"links", "--json", "--socket", site.socket}, kClient).out == after);
}

TEST_CASE("an agent can be asked by who cannot read its secrets") {
  Site site;
  site.write_config("psk_file = \"/nonexistent/key\"\n");
  site.serve();
  CHECK(site.run({"check"}).code != kExitOk);
  CHECK(site.run({"status"}).code == kExitOk);
}

TEST_CASE("ready is 0 with the link up and 75 with the reason without") {
  Site site;
  site.serve();
  CHECK(site.run({"ready"}).code == kExitOk);
  AgentSnapshot down = sample_snapshot();
  lose_link(down);
  site.agent.set(down);
  Ran ran = site.run({"ready"});
  CHECK(ran.code == kExitNotReady);
  CHECK(has(ran.err, "link down for 12s: 3 connections are safe for 4m48s more"));
  CHECK(site.run({"status"}).code == kExitOk);
}

TEST_CASE("ready asks for one service, too, when it is named") {
  Site site;
  AgentSnapshot agent = sample_snapshot();
  agent.services["db"].granted = false;
  agent.services["gw"].target = Cause::target_timeout;
  site.agent.set(agent);
  site.serve();
  CHECK(site.run({"ready", "--service", "web"}).code == kExitOk);
  Ran db = site.run({"ready", "--service", "db"});
  CHECK(db.code == kExitNotReady);
  CHECK(has(db.err, "service db: the server does not grant it to this client"));
  CHECK(has(site.run({"ready", "--service", "gw"}).err, "target_timeout"));
  CHECK(site.run({"ready", "--service", "nobody"}).code == kExitFailed);
  CHECK(site.run({"ready"}).code == kExitOk);
}

TEST_CASE("connections can be chosen, and a wrong wish is 64 with the nearest right one") {
  Site site;
  site.serve();
  CHECK(has(site.run({"connections", "--service", "web", "--state", "open", "--client", "127.0",
                      "--sort", "bytes", "--limit", "3"})
                .out,
            "3fa9c1d2-17"));
  CHECK(site.run({"connections", "--client", "10.9"}).out == "no connection\n");
  CHECK(site.run({"connections", "--client", "10.9", "--json"}).out == "[]\n");
  struct Case {
    std::vector<std::string> words;
    std::string told;
  };
  for (const Case& one :
       {Case{{"--state", "opne"}, "did you mean \"open\"?"},
        Case{{"--sort", "agee"}, "did you mean \"age\"?"},
        Case{{"--service", "wbe"}, "did you mean \"web\"?"},
        Case{{"--limit", "none"}, "is no number of rows"}, Case{{"--sort", "rate"}, "--watch"},
        Case{{"--watch", "1ms"}, "from 100ms to 1h"}, Case{{"--watch", "soon"}, "--watch"}}) {
    std::vector<std::string> words = {"connections"};
    words.insert(words.end(), one.words.begin(), one.words.end());
    Ran ran = site.run(words);
    INFO(ran.out << ran.err);
    CHECK(ran.code == kExitUsage);
    CHECK(has(ran.err, one.told));
    CHECK(std::count(ran.err.begin(), ran.err.end(), '\n') == 1);
  }
}

TEST_CASE("one connection's story is told, or that there is none") {
  Site site;
  site.serve();
  Ran told = site.run({"connection", "3fa9c1d2-17"});
  CHECK(told.code == kExitOk);
  CHECK(has(told.out, "connection 3fa9c1d2-17: open\n"));
  CHECK(has(told.out, "with home, live for 3m12s"));
  CHECK(site.run({"connection", "3fa9c1d2-17", "--json"}).out.front() == '{');
  Ran unknown = site.run({"connection", "3fa9c1d2-18"});
  CHECK(unknown.code == kExitFailed);
  CHECK(unknown.err == "holdfast-client: no connection 3fa9c1d2-18\n");
  CHECK(site.run({"connection"}).code == kExitUsage);
}

TEST_CASE("the log level is shown, changed, and a wrong one is 64") {
  Site site;
  site.serve();
  AgentSnapshot snapshot = sample_snapshot();
  snapshot.log_level = "info";
  site.agent.set(snapshot);
  CHECK(site.run({"log-level"}).out == "info\n");
  CHECK(site.run({"log-level", "debug"}).code == kExitOk);
  CHECK(site.agent.commands().back().id == "debug");
  Ran wrong = site.run({"log-level", "debgu"});
  CHECK(wrong.code == kExitUsage);
  CHECK(has(wrong.err, "did you mean \"debug\"?"));
}

TEST_CASE("kill tells what was done or that there is no such connection") {
  Site site;
  site.serve();
  Ran done = site.run({"kill", "3fa9c1d2-17"});
  CHECK(done.code == kExitOk);
  CHECK(done.out == "killed 3fa9c1d2-17\n");
  Ran unknown = site.run({"kill", "a b&id=c/%"});
  CHECK(unknown.code == kExitFailed);
  CHECK(has(unknown.err, "a b&id=c/%"));
  CHECK(site.agent.commands().back().id == "a b&id=c/%");
}

TEST_CASE("an agent whose loop is stuck is 69") {
  Site site;
  site.serve();
  site.agent.fail("the agent's loop did not answer within 2 s");
  Ran ran = site.run({"status"});
  CHECK(ran.code == kExitUnreachable);
  CHECK(has(ran.err, "did not answer within 2 s"));
}

TEST_CASE("without a subcommand the agent runs with its config and gives the exit code") {
  Site site;
  std::string name, path;
  std::vector<Problem> told;
  Program program{AgentKind::client,
                  [&](const AgentConfig& config, const std::string& from,
                      const std::vector<Problem>& warnings, const std::vector<ConfigSource>&) {
                    name = std::get<ClientConfig>(config).name;
                    path = from;
                    told = warnings;
                    return 42;
                  }};
  Ran ran = run_words({"-c", site.config}, program);
  CHECK(ran.code == 42);
  CHECK(name == "edge-1");
  CHECK(path == site.config);
  CHECK_FALSE(told.empty());  // of the plaintext, at least; in the agent's log, not beside it
  CHECK_FALSE(has_errors(told));
  CHECK(ran.err.empty());
}

TEST_CASE("an agent with a wrong config does not run") {
  Site site;
  site.write_config("nonsense = 1\n");
  Program program{AgentKind::client,
                  [](const AgentConfig&, const std::string&, const std::vector<Problem>&,
                     const std::vector<ConfigSource>&) { return 42; }};
  Ran ran = run_words({"-c", site.config}, program);
  CHECK(ran.code == kExitConfig);
  CHECK(has(ran.err, "nonsense"));
}

TEST_CASE("what is wrong with certificates is told by check, and keeps an agent from running") {
  Site site;
  write_file(site.folder / "pem", "x");
  REQUIRE(chmod((site.folder / "pem").c_str(), 0600) == 0);
  site.write_config("[link.tls]\nca_file = \"pem\"\ncert_file = \"pem\"\nkey_file = \"pem\"\n");
  Severity severity = Severity::error;
  Program program{AgentKind::client,
                  [](const AgentConfig&, const std::string&, const std::vector<Problem>& warnings,
                     const std::vector<ConfigSource>&) { return has_errors(warnings) ? 1 : 42; }};
  program.check_certificates = [&](const std::vector<TlsTable>& tables, const std::string& file) {
    REQUIRE(tables.size() == 1);
    const Place& place = tables.front().certificate.place;
    return std::vector<Problem>{{file, place.line, place.key, severity, "is no good", ""}};
  };
  for (auto words : {std::vector<std::string>{"check"}, std::vector<std::string>{}}) {
    words.insert(words.end(), {"-c", site.config});
    severity = Severity::error;
    Ran refused = run_words(words, program);
    CHECK(refused.code == kExitConfig);
    CHECK(has(refused.out + refused.err, site.config + ":6: link.tls.cert_file: is no good"));
    severity = Severity::warning;
    CHECK(run_words(words, program).code == (words.front() == "check" ? kExitOk : 42));
  }
}

TEST_CASE("an agent that goes on from another one waits for a key, and runs once it is there") {
  Site site;
  std::string key = site.folder / "edge-1.psk";
  site.write_config("psk_file = \"" + key + "\"\n");
  Program program{AgentKind::client,
                  [](const AgentConfig&, const std::string&, const std::vector<Problem>&,
                     const std::vector<ConfigSource>&) { return 42; }};
  bool comes = true;
  program.wait_for_files = [&](const AgentConfig& config, const std::vector<Problem>& problems,
                               const std::function<bool()>& look) {
    CHECK(std::get<ClientConfig>(config).name == "edge-1");
    CHECK(has(format_problems(problems), key));
    CHECK_FALSE(look());
    if (!comes) return;
    write_file(key, format_psk(*generate_psk()) + "\n");
    REQUIRE(chmod(key.c_str(), 0600) == 0);
    CHECK(look());
  };
  // Who begins has nobody to wait for.
  CHECK(run_words({"-c", site.config}, program).code == kExitConfig);
  KeptConfig kept{read_sources(site.config)};
  program.kept_config = [&] { return kept; };
  for (auto use :
       {KeptConfig::Use::in_place_of_the_files, KeptConfig::Use::if_the_files_have_errors}) {
    kept.use = use;
    unlink(key.c_str());
    comes = false;
    Ran given_up = run_words({"-c", site.config}, program);
    CHECK(given_up.code == kExitConfig);
    CHECK(has(given_up.err, key));
    comes = true;
    CHECK(run_words({"-c", site.config}, program).code == 42);
  }
}

}  // namespace
}  // namespace holdfast
