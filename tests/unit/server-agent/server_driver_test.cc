// A server agent's driver: whom it takes in, how much it lets them have, how it changes and how it
// ends.
#include "server-agent/server_driver.h"

#include "tests/unit/agents.h"

namespace holdfast {
namespace {

TEST_CASE("A connection goes through both agents to its target, to the end of both ways") {
  Agents agents;
  agents.start();
  Agents::Connection connection = agents.connect();
  connection.application.say("last");
  connection.application.finish();
  agents.until_heard(connection.service, "last|end");
  connection.service.say("answer");
  connection.service.finish();
  agents.until_heard(connection.application, "answer|end");
  agents.until([&] { return agents.at_server.has("closed:client_fin"); });
  CHECK(agents.at_server.words == std::vector<std::string>{"link_up", "open", "closed:client_fin"});
}

TEST_CASE("A client that is not in the config is refused, and soon asks no more") {
  Agents agents;
  ServerOptions options = agents.server_options();
  auto edge = options.clients.extract("edge");
  edge.key() = edge.mapped().policy.name = "somebody";
  options.clients.insert(std::move(edge));
  agents.start_server(std::move(options));
  agents.start_client(agents.client_options());
  agents.until([&] { return agents.at_client.has("link_refused:auth"); });
  CHECK(agents.at_server.has("rejected:auth"));
  agents.turn_for(seconds(1));  // dials without a pause would be some by now
  CHECK(agents.at_server.count("rejected:auth") == 1);
  CHECK_FALSE(agents.at_server.has("link_up"));
}

TEST_CASE("A client gets so many links as its policy says, and the others are refused") {
  Agents agents;
  ServerOptions options = agents.server_options();
  options.clients.at("edge").policy.max_links = 2;
  agents.start_server(std::move(options));
  ClientOptions three = agents.client_options();
  three.links.push_back(agents.link_called("second", 0x20));
  three.links.push_back(agents.link_called("third", 0x30));
  agents.start_client(std::move(three));
  agents.until([&] {
    return agents.at_client.count("link_up") == 2 && agents.at_client.has("link_refused:limit");
  });
  CHECK(agents.at_server.count("link_up") == 2);
}

TEST_CASE(
    "A connection beyond the server's limit is refused, and there is room when one has ended") {
  Agents agents;
  ServerOptions options = agents.server_options();
  options.connections = 2;
  options.memory = 16 * kMiB;
  agents.start_server(std::move(options));
  agents.start_client(agents.client_options());
  agents.until([&] { return agents.at_client.has("link_up"); });
  Agents::Connection first = agents.connect(), second = agents.connect();
  Talker third = agents.dial_in();
  agents.until_heard(third, "|reset");
  CHECK(agents.at_server.has("refused:limit"));
  CHECK(agents.server->max_streams() == 2);
  agents.echo(first);
  second = {};
  agents.until([&] { return agents.link().link().stream_count() == 1; });
  agents.connect();
}

TEST_CASE("A connection to a service that the client may not ask for is refused alone") {
  Agents agents;
  ServerOptions options = agents.server_options();
  options.clients.at("edge").policy.services.clear();
  agents.start_server(std::move(options));
  agents.start_client(agents.client_options());
  agents.until([&] { return agents.at_client.has("link_up"); });
  Talker application = agents.dial_in();
  agents.until_heard(application, "|reset");
  CHECK(agents.at_server.has("refused:unknown_service"));
  CHECK(agents.link().link().live());
}

TEST_CASE("A service whose target is the link's own port is a loop") {
  Agents agents;
  ServerOptions options = agents.server_options();
  options.services.at("raw").target.address = Agents::here(agents.link_port);
  agents.start_server(std::move(options));
  agents.start_client(agents.client_options());
  agents.until([&] { return agents.at_client.has("link_up"); });
  Talker application = agents.dial_in();
  agents.until_heard(application, "|reset");
  agents.until([&] { return agents.at_client.has("closed:loop"); });
}

TEST_CASE("A target that refuses resets its application and says so at both ends") {
  Agents agents;
  agents.start();
  agents.service.reset();
  Talker application = agents.dial_in();
  agents.until_heard(application, "|reset");
  agents.until([&] {
    return agents.at_client.has("closed:target_refused") &&
           agents.at_server.has("closed:target_refused");
  });
}

TEST_CASE("A connection is killed by its name, at both ends, and no other") {
  Agents agents;
  agents.start();
  Agents::Connection other = agents.connect(), victim = agents.connect();
  std::string name = agents.newest();
  CHECK_FALSE(agents.server->kill(name + "9"));
  CHECK_FALSE(agents.server->kill("nonsense"));
  CHECK(agents.server->kill(name));
  agents.until_heard(victim.application, "|reset");
  agents.until_heard(victim.service, "|reset");
  agents.echo(other);
}

TEST_CASE("A link that has ended tells the server's side what it carried") {
  Agents agents;
  agents.start();
  agents.connect();
  agents.client->shut_down();
  agents.until([&] { return agents.at_server.has("link_ended:goodbye"); });
  CHECK(agents.at_server.ended.bytes_up == 4);
  CHECK(agents.at_server.ended.bytes_down == 4);
  CHECK(agents.at_client.ended.bytes_up == 4);
}

// --- Reload ---------------------------------------------------------------------------------

TEST_CASE("A new target is for new connections, and what lives keeps its own") {
  Agents agents;
  agents.start();
  Agents::Connection old = agents.connect();
  BoundSocket second = free_listener();
  ServerOptions options = agents.server_options();
  options.services.at("raw") = Agents::target(second);
  REQUIRE(agents.server->reconfigure(std::move(options), false).ok());
  Agents::Connection late{agents.dial_in(), {}};
  late.service = agents.accept_at(second);
  agents.echo(late);
  agents.echo(old);
}

TEST_CASE("A client that a reload takes away stays until it is revoked, and does not come back") {
  Agents agents;
  agents.start();
  Agents::Connection connection = agents.connect();
  ServerOptions without = agents.server_options();
  without.clients.clear();
  REQUIRE(agents.server->reconfigure(std::move(without), false).ok());
  agents.echo(connection);
  Talker late = agents.dial_in();
  agents.until_heard(late, "|reset");
  agents.echo(connection);
  without = agents.server_options();
  without.clients.clear();
  REQUIRE(agents.server->reconfigure(std::move(without), true).ok());
  agents.until_heard(connection.application, "|reset");
  agents.until_heard(connection.service, "|reset");
  agents.until([&] { return agents.at_client.has("link_refused:auth"); });
  CHECK(agents.at_server.has("link_ended:revoked"));
}

TEST_CASE("A key that changed is proved anew where it is revoked, and connections outlive that") {
  Agents agents;
  agents.start();
  Agents::Connection connection = agents.connect();
  ServerOptions options = agents.server_options();
  options.clients.at("edge").key_id = "another";
  REQUIRE(agents.server->reconfigure(std::move(options), true).ok());
  agents.until([&] { return agents.at_client.has("link_resumed"); });
  CHECK(agents.at_server.has("link_down:revoked"));
  agents.echo(connection);
}

TEST_CASE("A reload whose address cannot be had changes nothing") {
  Agents agents;
  agents.start();
  BoundSocket foreign = free_listener(), second = free_listener();
  ServerOptions options = agents.server_options();
  options.listen.emplace_back(Agents::here(port_of(foreign)));
  options.services.at("raw") = Agents::target(second);
  Status failed = agents.server->reconfigure(std::move(options), false);
  REQUIRE_FALSE(failed.ok());
  CHECK(failed.error().message.find(std::to_string(port_of(foreign))) != std::string::npos);
  CHECK(agents.server->listening().size() == 1);
  agents.connect();  // at the old target
}

TEST_CASE("The link's port moves, and the carrier on the old one goes on") {
  Agents agents;
  agents.start();
  Agents::Connection connection = agents.connect();
  std::uint16_t moved = free_port();
  ServerOptions options = agents.server_options();
  options.listen = {Agents::here(moved)};
  REQUIRE(agents.server->reconfigure(std::move(options), false).ok());
  CHECK(agents.refuses(agents.link_port));
  agents.echo(connection);
  CHECK(agents.at_client.count("link_up") == 1);
  CHECK_FALSE(agents.at_client.has("link_resumed"));
}

TEST_CASE("What needs a restart stays as it was") {
  Agents agents;
  agents.start();
  ServerOptions options = agents.server_options();
  options.connections = 3;
  options.memory = 32 * kMiB;
  options.registry.server_name = "other";
  REQUIRE(agents.server->reconfigure(std::move(options), false).ok());
  CHECK(agents.server->max_streams() == 100);
  CHECK(agents.server->memory() == 64 * kMiB);
  CHECK(agents.link().link().server_name() == "hub");
}

// --- The end --------------------------------------------------------------------------------

TEST_CASE("A server that drains takes nobody new, and stops with the last connection") {
  Agents agents;
  agents.start();
  Agents::Connection connection = agents.connect();
  CHECK_FALSE(agents.server->draining());
  agents.server->drain();
  CHECK(agents.server->draining());
  agents.until([&] { return agents.at_client.has("link_draining"); });
  agents.echo(connection);
  Agents stranger;
  ClientOptions options = stranger.client_options();
  options.links[0].servers = {Agents::here(agents.link_port)};
  options.links[0].link.slot = 0x50;
  Told told;
  ClientDriver late(agents.loop, std::move(options), told);
  agents.until([&] {
    static_cast<void>(static_cast<Loop::Task&>(late).end_of_turn());
    return told.has("link_refused:draining");
  });
  connection = {};
  agents.until_stopped();
  // Whoever is quicker: the client has left the link that it holds no more.
  CHECK(
      (agents.at_server.has("link_ended:shutdown") || agents.at_server.has("link_ended:goodbye")));
  CHECK(agents.refuses(agents.link_port));
}

TEST_CASE("A server that drains stops at its timeout, whoever is left") {
  Agents agents;
  ServerOptions options = agents.server_options();
  options.shutdown_timeout = milliseconds(200);
  agents.start_server(std::move(options));
  agents.start_client(agents.client_options());
  Agents::Connection connection = agents.connect();
  Time began = agents.loop.refresh();
  agents.server->drain();
  agents.until_stopped();
  CHECK(agents.loop.refresh() - began >= milliseconds(200));
  agents.until_heard(connection.application, "|reset");
  CHECK(connection.service.hear().ends_with("|reset"));
}

TEST_CASE("A server that drains until it is empty has no timeout, and may think better of it") {
  Agents agents;
  ServerOptions options = agents.server_options();
  options.shutdown_timeout = milliseconds(50);
  agents.start_server(std::move(options));
  agents.start_client(agents.client_options());
  Agents::Connection connection = agents.connect();
  agents.server->drain(DrainUntil::empty);
  CHECK(agents.server->home());
  Time began = agents.loop.refresh();
  agents.until([&] { return agents.loop.refresh() - began > milliseconds(200); });
  agents.echo(connection);
  REQUIRE(agents.server->undrain());
  CHECK_FALSE(agents.server->draining());
  Agents::Connection another = agents.connect();  // over a second link, which is taken again
  agents.echo(another);
  agents.echo(connection);
  agents.server->shut_down();
  CHECK_FALSE(agents.server->undrain());
  CHECK_FALSE(agents.server->home());
  agents.until_stopped();
}

TEST_CASE("A server that is shut down says goodbye, and ends though nobody answers") {
  Agents agents;
  agents.start();
  Agents::Connection connection = agents.connect();
  agents.server->shut_down();
  agents.until_stopped();
  CHECK(connection.service.hear().ends_with("|reset"));
  agents.until_heard(connection.application, "|reset");
  agents.until([&] { return agents.at_client.has("link_ended:shutdown"); });
  agents.server->shut_down();  // once is enough
}

}  // namespace
}  // namespace holdfast
