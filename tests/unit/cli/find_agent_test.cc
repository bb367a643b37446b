#include "common/cli/find_agent.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "common/admin/listeners.h"
#include "tests/catch.h"
#include "tests/unit/fixtures.h"

namespace holdfast {
namespace {

// An agent at an admin socket of its own.
struct Running {
  Running(const Folder& folder, const std::string& name, AgentKind kind, const std::string& config)
      : socket(folder / name) {
    AgentSnapshot state = sample_snapshot();
    state.kind = kind;
    state.config_path = config;
    agent.set(state);
    auto started = AdminServer::start({socket, std::nullopt, std::nullopt}, agent);
    REQUIRE(started.ok());
    server = std::move(*started);
  }
  std::string socket;
  FakeAgent agent;
  std::unique_ptr<AdminServer> server;
};

class Variable {
 public:
  explicit Variable(const std::string& value) { ::setenv("HOLDFAST_CONFIG", value.c_str(), 1); }
  ~Variable() { ::unsetenv("HOLDFAST_CONFIG"); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;
};

struct Host {
  FoundPlace find(Wanted wanted, const SaidPlace& said = {}) const {
    auto found = find_place(AgentKind::client, said, wanted, places);
    REQUIRE(std::holds_alternative<FoundPlace>(found));
    return std::get<FoundPlace>(found);
  }
  NotFound miss(Wanted wanted) const {
    auto found = find_place(AgentKind::client, {}, wanted, places);
    REQUIRE(std::holds_alternative<NotFound>(found));
    return std::get<NotFound>(found);
  }
  Folder runtime, configs;
  AgentPlaces places{runtime / ".", configs / "."};
};

bool has(const std::string& text, const std::string& word) {
  return text.find(word) != std::string::npos;
}

TEST_CASE("what was said comes first, then the variable, the running agent, the usual config") {
  Host host;
  std::string usual = host.configs / "./client.toml";
  CHECK(host.miss(Wanted::agent).code == kExitUsage);
  CHECK(has(host.miss(Wanted::config).reason, "which config? add -c FILE"));

  write_file(usual, "");
  CHECK(host.find(Wanted::agent).config == usual);
  CHECK(host.find(Wanted::config).config == usual);

  Running running(host.runtime, "client.sock", AgentKind::client, "/somewhere/edge.toml");
  CHECK(has(host.find(Wanted::agent).socket, "client.sock"));
  CHECK(host.find(Wanted::agent).config.empty());
  CHECK(host.find(Wanted::config).config == "/somewhere/edge.toml");

  Variable variable("named.toml");
  CHECK(host.find(Wanted::agent).config == "named.toml");
  CHECK(host.find(Wanted::agent).socket.empty());
  CHECK(host.find(Wanted::config).config == "named.toml");
  CHECK(host.find(Wanted::config, {"said.toml", ""}).config == "said.toml");
  CHECK(host.find(Wanted::agent, {"", "/a.sock"}).socket == "/a.sock");
}

TEST_CASE("an empty variable says nothing") {
  Host host;
  write_file(host.configs / "./client.toml", "");
  Variable variable("");
  CHECK(has(host.find(Wanted::config).config, "client.toml"));
}

TEST_CASE("a config is asked of the agent whose socket was said") {
  Host host;
  Running running(host.runtime, "x", AgentKind::client, "/somewhere/edge.toml");
  CHECK(host.find(Wanted::config, {"", running.socket}).config == "/somewhere/edge.toml");
}

TEST_CASE("a running agent is found whatever its socket is called, and the other kind's is none") {
  Host host;
  Running other(host.runtime, "server.sock", AgentKind::server, "/s.toml");
  Running named(host.runtime, "other.sock", AgentKind::server, "/s.toml");
  CHECK(running_agents(AgentKind::client, host.places.runtime).empty());
  Running running(host.runtime, "edge.sock", AgentKind::client, "/edge.toml");
  CHECK(host.find(Wanted::config).config == "/edge.toml");
  CHECK(running_agents(AgentKind::server, host.places.runtime).size() == 2);
}

TEST_CASE("of several running agents none is taken, and all are named") {
  Host host;
  Running one(host.runtime, "client.sock", AgentKind::client, "/1.toml");
  Running two(host.runtime, "client-hub.sock", AgentKind::client, "/2.toml");
  NotFound miss = host.miss(Wanted::agent);
  CHECK(miss.code == kExitUsage);
  CHECK(has(miss.reason, "client.sock"));
  CHECK(has(miss.reason, "client-hub.sock"));
}

TEST_CASE("a socket that a dead agent left is no agent") {
  Host host;
  std::string path = host.runtime / "client.sock";
  int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  ::close(fd);
  CHECK(running_agents(AgentKind::client, host.places.runtime).empty());
  CHECK(host.miss(Wanted::agent).code == kExitUsage);
}

TEST_CASE("subcommands go to the agent that was found") {
  Host host;
  Running running(host.runtime, "client.sock", AgentKind::client, "/edge.toml");
  Program program{.kind = AgentKind::client, .run = nullptr, .places = host.places};
  Ran ran = run_words({"status"}, program);
  CHECK(ran.code == kExitOk);
  CHECK(has(ran.out, "edge-1"));
  CHECK(run_words({"check"}, program).code == kExitConfig);  // of /edge.toml, which is not there
}

}  // namespace
}  // namespace holdfast
