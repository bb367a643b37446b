#include "common/agent/missing_files.h"

#include <signal.h>

#include "tests/catch.h"
#include "tests/unit/fixtures.h"

namespace holdfast {
namespace {

struct Waiting {
  Folder folder;
  LogConfig log;
  std::vector<Problem> problems = {
      {"server.toml", 7, "clients.edge-1.psk_file", Severity::error, "there is no such file", ""},
      {"server.toml", 9, "link.grace", Severity::warning, "that is long", ""}};

  Waiting() { log.file = folder / "log"; }
  ServerConfig server(Duration grace) const {
    ServerConfig config;
    config.log = log;
    config.link.grace = grace;
    return config;
  }
};

TEST_CASE("a server waits as long as its longest grace, a client as the default one") {
  ServerConfig server;
  server.link.grace = seconds(60);
  CHECK(patience_of(server) == seconds(60));
  server.services["short"].grace = seconds(5);
  server.services["long"].grace = seconds(600);
  CHECK(patience_of(server) == seconds(600));
  CHECK(patience_of(ClientConfig{}) == kDefaultGrace);
}

TEST_CASE("what is missing is told, and looked for until it is there") {
  Waiting one;
  int looks = 0;
  wait_for_files(one.server(seconds(60)), one.problems, [&] { return ++looks == 2; });
  CHECK(looks == 2);
  std::string said = read_text(one.folder / "log");
  CHECK(said.find("key_unreadable") != std::string::npos);
  CHECK(said.find("clients.edge-1.psk_file") != std::string::npos);
  CHECK(said.find("link.grace") == std::string::npos);
}

TEST_CASE("patience ends") {
  Waiting one;
  int looks = 0;
  wait_for_files(one.server(milliseconds(300)), one.problems, [&] {
    looks += 1;
    return false;
  });
  CHECK(looks >= 1);
}

TEST_CASE("who is told to end does not wait") {
  sigset_t end;
  sigemptyset(&end);
  sigaddset(&end, SIGTERM);
  REQUIRE(pthread_sigmask(SIG_BLOCK, &end, nullptr) == 0);
  REQUIRE(pthread_kill(pthread_self(), SIGTERM) == 0);
  Waiting one;
  wait_for_files(one.server(seconds(60)), one.problems, [] { return false; });
  int taken = 0;
  CHECK(sigwait(&end, &taken) == 0);
  CHECK(taken == SIGTERM);
  pthread_sigmask(SIG_UNBLOCK, &end, nullptr);
}

}  // namespace
}  // namespace holdfast
