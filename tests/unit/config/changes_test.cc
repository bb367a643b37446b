// What a reload would change.
#include "common/config/changes.h"

#include "tests/catch.h"

namespace holdfast {
namespace {

ClientConfig sample_client() {
  ClientConfig config;
  config.name = "edge-1";
  config.links[kDefaultLinkName].server = {{"198.51.100.10", 7443}};
  config.links[kDefaultLinkName].psk_file = "/etc/holdfast/edge-1.psk";
  config.services["postgres"] = {{TcpAddress{"127.0.0.1", 5432}}, kDefaultLinkName};
  config.admin.socket = "/run/holdfast/client.sock";
  return config;
}

ServerConfig sample_server() {
  ServerConfig config;
  config.name = "gate";
  config.link.listen = {TcpAddress{"0.0.0.0", 7443}};
  config.clients["edge-1"].psk_file = "/etc/holdfast/edge-1.psk";
  config.clients["edge-1"].services = {"postgres"};
  config.services["postgres"].target = TcpAddress{"127.0.0.1", 5432};
  config.admin.socket = "/run/holdfast/server.sock";
  return config;
}

const ConfigChange* find(const std::vector<ConfigChange>& list, const std::string& key) {
  for (const ConfigChange& each : list) {
    if (each.key == key) return &each;
  }
  return nullptr;
}

TEST_CASE("The same config changes nothing") {
  CHECK(changes(sample_client(), sample_client()).empty());
  CHECK(changes(sample_server(), sample_server()).empty());
}

TEST_CASE("A change tells the key, both values and from when on it counts") {
  ServerConfig after = sample_server();
  after.services["postgres"].target = TcpAddress{"127.0.0.1", 5433};
  auto found = changes(sample_server(), after);
  REQUIRE(found.size() == 1);
  CHECK(found[0].key == "services.postgres.target");
  CHECK(found[0].before == "127.0.0.1:5432");
  CHECK(found[0].after == "127.0.0.1:5433");
  CHECK(found[0].effect == ReloadEffect::new_connections);
  CHECK(found[0].section == "services.postgres");
}

TEST_CASE("A section that came or went is one change, with a name that may hold dots") {
  ServerConfig after = sample_server();
  after.services["pg.blue"].target = TcpAddress{"127.0.0.1", 1};
  after.clients.clear();
  auto found = changes(sample_server(), after);
  REQUIRE(found.size() == 2);
  CHECK(found[0].key == "clients.edge-1");
  CHECK(found[0].effect == ReloadEffect::taken_away);
  CHECK(found[1].key == "services.pg.blue");
  CHECK(found[1].effect == ReloadEffect::added);
}

TEST_CASE("Links are named by their sections, the simple form as link") {
  ClientConfig after = sample_client();
  after.links[kDefaultLinkName].heartbeat = seconds(2);
  after.links["lab"].server = {{"192.0.2.1", 7443}};
  auto found = changes(sample_client(), after);
  REQUIRE(found.size() == 2);
  CHECK(found[0].key == "link.heartbeat");
  CHECK(found[0].before == "1s");
  CHECK(found[1].key == "links.lab");
}

// Everything that can differ, differs: each key must be told, and each has an effect.
TEST_CASE("Every key of a client's config has its change") {
  ClientConfig after = sample_client();
  ClientLinkConfig& link = after.links[kDefaultLinkName];
  after.name = "edge-2";
  after.threads = 2;
  after.shutdown_timeout = seconds(1);
  after.admin = {"/tmp/x", TcpAddress{"127.0.0.1", 1}, Account{"wheel"}};
  after.admin.freebind = true;
  after.limits = {kMinMemory, 3};
  after.log = {LogLevel::debug, LogFormat::json, "/tmp/log", "/tmp/trace", 7};
  link.server.push_back({"192.0.2.1", 7443});
  link.psk_file.reset();
  link.tls = TlsConfig{"ca", "cert", "key", "name"};
  link.unsafe_plaintext = true;
  link.heartbeat = link.dead_after = link.handshake_timeout = link.open_timeout = seconds(77);
  link.max_window = 1;
  link.parallel = 3;
  link.congestion_control = "reno";
  after.admin.user = Account{"root"};
  after.admin.mode = FileMode{0666};
  after.services["postgres"].listen = {UnixAddress{"/tmp/s"}};
  after.services["postgres"].socket_mode = FileMode{0666};
  after.services["postgres"].keepalive = seconds(7);
  after.services["postgres"].idle_timeout = seconds(7);
  after.services["postgres"].half_close_timeout = seconds(7);
  after.services["postgres"].socket_user = Account{"a"};
  after.services["postgres"].socket_group = Account{"b"};
  after.services["postgres"].link = "other";
  auto found = changes(sample_client(), after);
  for (const char* key : {"name",
                          "threads",
                          "shutdown_timeout",
                          "admin.socket",
                          "admin.metrics",
                          "admin.group",
                          "admin.user",
                          "admin.mode",
                          "admin.freebind",
                          "limits.memory",
                          "limits.connections",
                          "log.level",
                          "log.format",
                          "log.file",
                          "log.trace_file",
                          "log.connection_lines",
                          "link.server",
                          "link.psk_file",
                          "link.tls.ca_file",
                          "link.tls.cert_file",
                          "link.tls.key_file",
                          "link.tls.server_name",
                          "link.unsafe_plaintext",
                          "link.heartbeat",
                          "link.dead_after",
                          "link.handshake_timeout",
                          "link.open_timeout",
                          "link.parallel",
                          "link.congestion_control",
                          "link.max_window",
                          "services.postgres.listen",
                          "services.postgres.keepalive",
                          "services.postgres.idle_timeout",
                          "services.postgres.half_close_timeout",
                          "services.postgres.socket_mode",
                          "services.postgres.socket_user",
                          "services.postgres.socket_group",
                          "services.postgres.link"}) {
    INFO(key);
    CHECK(find(found, key) != nullptr);
  }
  CHECK(found.size() == 38);
}

TEST_CASE("Every key of a server's config has its change") {
  ServerConfig after = sample_server();
  after.link.listen = {TcpAddress{"127.0.0.1", 7443}};
  after.link.grace = after.link.handshake_timeout = seconds(77);
  after.link.heartbeat = after.link.dead_after = seconds(7);
  after.link.tls = TlsConfig{"ca", "cert", "key", {}};
  after.link.unsafe_plaintext = true;
  after.link.max_window = 1;
  after.link.congestion_control = "reno";
  after.clients["edge-1"] = {"other.psk", {}, 1, 2, kMiB};
  after.services["postgres"] = {UnixAddress{"/tmp/s"}, seconds(1), seconds(2)};
  auto found = changes(sample_server(), after);
  for (const char* key :
       {"link.listen", "link.grace", "link.handshake_timeout", "link.heartbeat", "link.dead_after",
        "link.tls.ca_file", "link.tls.cert_file", "link.tls.key_file", "link.unsafe_plaintext",
        "link.max_window", "link.congestion_control", "clients.edge-1.psk_file",
        "clients.edge-1.services", "clients.edge-1.links", "clients.edge-1.connections",
        "clients.edge-1.memory", "services.postgres.target", "services.postgres.grace",
        "services.postgres.connect_timeout"}) {
    INFO(key);
    CHECK(find(found, key) != nullptr);
  }
  CHECK(found.size() == 19);
}

TEST_CASE("What counts at once is not kept until a restart") {
  ServerConfig wanted = sample_server();
  wanted.log.connection_lines = 7;
  wanted.log.level = LogLevel::debug;
  wanted.shutdown_timeout = seconds(1);
  CHECK(until_restart(sample_server(), wanted) == wanted);
}

TEST_CASE("What needs a restart keeps its old value, and shows as a change until then") {
  ClientConfig wanted = sample_client();
  wanted.limits.memory = 2 * kDefaultMemory;
  wanted.log.level = LogLevel::debug;
  wanted.log.file = "/tmp/log";
  ClientConfig runs = until_restart(sample_client(), wanted);
  CHECK(runs.limits.memory == kDefaultMemory);
  CHECK(runs.log.level == LogLevel::debug);
  CHECK_FALSE(runs.log.file);
  auto left = changes(runs, wanted);
  REQUIRE(left.size() == 2);
  CHECK(left[0].effect == ReloadEffect::restart);
  CHECK(left[1].effect == ReloadEffect::restart);
}

}  // namespace
}  // namespace holdfast
