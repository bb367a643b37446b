// A client agent's driver: whom it lets wait, whom it refuses, how it changes and how it ends.
#include "client-agent/client_driver.h"

#include "tests/unit/agents.h"

namespace holdfast {
namespace {

ClientOptions two_connections(const Agents& agents) {
  ClientOptions options = agents.client_options();
  options.connections = 2;
  options.memory = 16 * kMiB;
  return options;
}

TEST_CASE("An application beyond the limit waits in its listener until one has ended") {
  Agents agents;
  agents.start_server(agents.server_options());
  agents.start_client(two_connections(agents));
  Agents::Connection first = agents.connect(), second = agents.connect();
  Agents::Connection third{agents.dial_in(), {}};
  agents.until([&] { return agents.at_client.has("paused"); });
  agents.turn_for(milliseconds(50));
  CHECK(third.application.hear().empty());
  CHECK(agents.link().link().stream_count() == 2);
  second = {};
  third.service = agents.accept_at(*agents.service);
  agents.echo(third);
  agents.echo(first);
  first = {};
  agents.until([&] { return agents.at_client.has("resumed"); });
  CHECK(agents.at_client.count("paused") == 1);
}

TEST_CASE("Applications that come before the link is up wait for it") {
  Agents agents;
  agents.start_client(agents.client_options());
  Agents::Connection connection{agents.dial_in(), {}};
  agents.until([&] { return agents.at_client.has("dial_failed"); });
  CHECK(connection.application.hear().empty());
  agents.start_server(agents.server_options());
  connection.service = agents.accept_at(*agents.service);
  agents.echo(connection);
}

TEST_CASE("New connections go to the link that is up and has the fewest") {
  Agents agents;
  agents.start_server(agents.server_options());
  agents.start_client(agents.client_options(2));
  agents.until([&] { return agents.at_client.count("link_up") == 2; });
  std::vector<Agents::Connection> connections;
  for (int each = 0; each < 6; ++each) connections.push_back(agents.connect());
  agents.client->for_each_link(
      [](const ClientLink& link, const MemoryPool&) { CHECK(link.link().stream_count() == 3); });
}

TEST_CASE("Who connects to a listener without being turned to it is reset") {
  Agents agents;
  ClientOptions options = agents.client_options();
  options.services[0].mode = ListenMode::redirect;
  agents.start_server(agents.server_options());
  agents.start_client(std::move(options));
  Talker application = agents.dial_in();
  agents.until_heard(application, "|reset");
  CHECK(agents.at_client.has("application_refused:not_allowed"));
}

TEST_CASE("Who is no balancer is reset, and one without a header is, too") {
  Agents agents;
  ClientOptions options = agents.client_options();
  options.services.push_back(Agents::raw_at(free_port()));
  options.services[0].proxy_from = std::vector<Network>{*parse_network("10.0.0.0/8")};
  options.services[1].proxy_from = std::vector<Network>{*parse_network("127.0.0.1")};
  std::uint16_t announced = std::get<HostPort>(options.services[1].listen).port;
  agents.start_server(agents.server_options());
  agents.start_client(std::move(options));
  Talker stranger = agents.dial_in();
  agents.until_heard(stranger, "|reset");
  CHECK(agents.at_client.has("application_refused:not_allowed"));
  Talker mute = agents.dial_in(announced);
  mute.say("GET / HTTP/1.0\r\n\r\n");
  agents.until_heard(mute, "|reset");
  CHECK(agents.at_client.has("application_refused:protocol"));
  Agents::Connection good{agents.dial_in(announced), {}};
  good.application.say("PROXY TCP4 192.0.2.7 203.0.113.9 51000 443\r\n");
  good.service = agents.accept_at(*agents.service);
  agents.echo(good);
}

TEST_CASE("A service whose target is down is not listened for until it is back") {
  Agents agents;
  ClientOptions client = agents.client_options();
  client.services[0].mirror = true;
  agents.start_server(agents.server_options());
  agents.start_client(std::move(client));
  Agents::Connection connection = agents.connect();
  ServerOptions watched = agents.server_options();
  watched.services.at("raw").check_interval = milliseconds(20);
  REQUIRE(agents.server->reconfigure(std::move(watched), false).ok());
  std::uint16_t there = port_of(*agents.service);
  agents.turn_for(milliseconds(50));
  CHECK_FALSE(agents.client->listening().empty());
  agents.service.reset();
  agents.until([&] { return agents.client->listening().empty(); });
  CHECK(agents.refuses(agents.port));
  agents.echo(connection);  // what lives has nothing to do with it
  auto back = bind_sockets(Agents::here(there), nullptr);
  REQUIRE(back.ok());
  agents.service = std::make_unique<BoundSocket>(std::move(back->front()));
  agents.until([&] { return !agents.client->listening().empty(); });
  CHECK_FALSE(agents.refuses(agents.port));
}

TEST_CASE("A connection is killed by its name at the client") {
  Agents agents;
  agents.start();
  Agents::Connection connection = agents.connect();
  std::string name = agents.newest();
  CHECK_FALSE(agents.client->kill(name + "9"));
  CHECK(agents.client->kill(name));
  agents.until_heard(connection.application, "|reset");
  agents.until_heard(connection.service, "|reset");
}

// --- Reload ---------------------------------------------------------------------------------

TEST_CASE("A listener moves, and its connections stay") {
  Agents agents;
  agents.start();
  Agents::Connection old = agents.connect();
  std::uint16_t moved = free_port();
  ClientOptions options = agents.client_options();
  options.services[0].listen = Agents::here(moved);
  REQUIRE(agents.client->reconfigure(std::move(options), false).ok());
  CHECK(agents.refuses(agents.port));
  Agents::Connection late{agents.dial_in(moved), {}};
  late.service = agents.accept_at(*agents.service);
  agents.echo(late);
  agents.echo(old);
}

TEST_CASE("A service that a reload takes away keeps its connections, and loses them when revoked") {
  for (bool revoke : {false, true}) {
    Agents agents;
    agents.start();
    Agents::Connection connection = agents.connect();
    ClientOptions options = agents.client_options();
    options.services.clear();
    options.links[0].link.services.clear();
    REQUIRE(agents.client->reconfigure(std::move(options), revoke).ok());
    CHECK(agents.refuses(agents.port));
    if (!revoke) {
      agents.echo(connection);
      continue;
    }
    agents.until_heard(connection.application, "|reset");
    CHECK(agents.at_client.has("closed:revoked"));
  }
}

TEST_CASE("A link that a reload takes away goes with its last connection") {
  Agents agents;
  agents.start();
  Agents::Connection connection = agents.connect();
  ClientOptions options = agents.client_options();
  options.links[0].name = options.links[0].group = options.services[0].link = "other";
  options.links[0].link.slot = 0x90;
  REQUIRE(agents.client->reconfigure(std::move(options), false).ok());
  agents.until([&] { return agents.at_client.count("link_up") == 2; });
  agents.echo(connection);
  Agents::Connection late = agents.connect();
  connection = {};
  agents.until([&] { return agents.at_client.has("link_ended:goodbye"); });
  agents.echo(late);
  CHECK(agents.link().link().stream_count() == 1);
}

TEST_CASE(
    "A carrier goes on when the server's address changes, and the next one is dialled there") {
  Agents agents;
  agents.start();
  Agents::Connection connection = agents.connect();
  std::uint16_t moved = free_port();
  ServerOptions server = agents.server_options();
  server.listen = {Agents::here(moved)};
  REQUIRE(agents.server->reconfigure(std::move(server), false).ok());
  ClientOptions client = agents.client_options();
  client.links[0].servers = {Agents::here(moved)};
  REQUIRE(agents.client->reconfigure(std::move(client), false).ok());
  agents.echo(connection);
  CHECK(agents.link().carrier_address() == "127.0.0.1:" + std::to_string(agents.link_port));
  agents.client->for_each_link(
      [](const ClientLink& each, const MemoryPool&) { const_cast<ClientLink&>(each).reconnect(); });
  agents.until([&] { return agents.at_client.has("link_resumed"); });
  CHECK(agents.link().carrier_address() == "127.0.0.1:" + std::to_string(moved));
  agents.echo(connection);
}

TEST_CASE("A reload whose listener cannot be had changes nothing at the client") {
  Agents agents;
  agents.start();
  BoundSocket foreign = free_listener();
  ClientOptions options = agents.client_options();
  options.services[0].listen = Agents::here(port_of(foreign));
  options.links[0].servers = {Agents::here(free_port())};
  REQUIRE_FALSE(agents.client->reconfigure(std::move(options), false).ok());
  Agents::Connection connection = agents.connect();
  agents.client->for_each_link(
      [](const ClientLink& each, const MemoryPool&) { const_cast<ClientLink&>(each).reconnect(); });
  agents.until([&] { return agents.at_client.has("link_resumed"); });  // at the old server
  agents.echo(connection);
}

// --- The end --------------------------------------------------------------------------------

TEST_CASE("A client that drains refuses the next, and stops with its last connection") {
  Agents agents;
  agents.start();
  Agents::Connection connection = agents.connect();
  agents.client->drain();
  CHECK(agents.client->draining());
  CHECK(agents.refuses(agents.port));
  agents.echo(connection);
  connection = {};
  agents.until_stopped();
  CHECK(agents.at_client.has("link_ended:goodbye"));
}

TEST_CASE("A client that drains stops at its timeout, whoever is left") {
  Agents agents;
  ClientOptions options = agents.client_options();
  options.shutdown_timeout = milliseconds(200);
  agents.start_server(agents.server_options());
  agents.start_client(std::move(options));
  Agents::Connection connection = agents.connect();
  Time began = agents.loop.refresh();
  agents.client->drain();
  agents.until_stopped();
  CHECK(agents.loop.refresh() - began >= milliseconds(200));
  CHECK(connection.application.hear().ends_with("|reset"));
  agents.until_heard(connection.service, "|reset");
}

TEST_CASE("A client that never had a link stops at once") {
  Agents agents;
  agents.start_client(agents.client_options());
  Talker waiting = agents.dial_in();
  agents.turn_for(milliseconds(20));
  agents.client->shut_down();
  agents.until_stopped();
  CHECK(waiting.hear().ends_with("|reset"));
}

}  // namespace
}  // namespace holdfast
