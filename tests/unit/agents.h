// A server's and a client's driver on one loop, with real sockets: all of both agents but their
// config, admin and main(). An application and its service are sockets of the test's.
#pragma once

#include <algorithm>
#include <memory>

#include "client-agent/client_driver.h"
#include "server-agent/server_driver.h"
#include "tests/unit/quiet_observer.h"
#include "tests/unit/support.h"

namespace holdfast {

// What was told, a word each: "link_up", "closed:client_fin", "refused:limit" ...
class Told final : public QuietObserver {
 public:
  std::vector<std::string> words;
  LinkEvent ended;
  std::string refused_service, refused_reason;  // of the last OPEN that was refused

  bool has(std::string_view word) const { return count(word) != 0; }
  std::ptrdiff_t count(std::string_view word) const {
    return std::count(words.begin(), words.end(), word);
  }

  void link_up(const LinkEvent&) override { say("link_up"); }
  void link_down(const LinkEvent& event) override { say("link_down:", event.cause); }
  void link_resumed(const LinkEvent&) override { say("link_resumed"); }
  void link_ended(const LinkEvent& event) override {
    say("link_ended:", event.cause);
    ended = event;
  }
  void link_refused(const LinkEvent& event, Duration) override {
    say("link_refused:", event.cause);
  }
  void link_draining(const LinkEvent&) override { say("link_draining"); }
  void connection_open(const ConnectionInfo&) override { say("open"); }
  void connection_closed(const ConnectionInfo& connection) override {
    say("closed:", connection.summary.cause);
  }
  void connection_refused(const OpenRefusal& refusal) override {
    say("refused:", refusal.cause);
    refused_service = refusal.service;
    refused_reason = refusal.reason;
  }
  void application_refused(const Refusal& refusal) override {
    say("application_refused:", refusal.cause);
  }
  void carrier_rejected(const std::string&, Cause cause, const std::string&) override {
    say("rejected:", cause);
  }
  void dial_failed(const std::string&, const std::string&) override { say("dial_failed"); }
  void listener_paused(const std::string&, const std::string&) override { say("paused"); }
  void listener_resumed(const std::string&) override { say("resumed"); }

 private:
  void say(std::string word) { words.push_back(std::move(word)); }
  void say(const std::string& word, Cause cause) { say(word + std::string(to_string(cause))); }
};

// One of the test's sockets, read without waiting.
class Talker {
 public:
  Talker() = default;
  explicit Talker(Descriptor socket) : socket_(std::move(socket)) {}

  // Everything that came until now; at the end "|end" or "|reset".
  const std::string& hear() {
    char buffer[65536];
    while (!over_) {
      ssize_t size = recv(socket_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
      if (size < 0 && errno == EAGAIN) break;
      if (size > 0) {
        heard_.append(buffer, static_cast<std::size_t>(size));
      } else {
        over_ = true;
        heard_ += size == 0 ? "|end" : "|reset";
      }
    }
    return heard_;
  }
  void say(std::string_view text) {
    REQUIRE(send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(text.size()));
  }
  void finish() { shutdown(socket_.get(), SHUT_WR); }

 private:
  Descriptor socket_;
  std::string heard_;
  bool over_ = false;
};

class Agents {
 public:
  struct Connection {
    Talker application;
    Talker service;
  };

  const std::uint16_t link_port = free_port();
  const std::uint16_t port = free_port();  // where applications connect
  std::unique_ptr<BoundSocket> service = std::make_unique<BoundSocket>(free_listener());

  Loop loop;
  Told at_server;
  Told at_client;
  std::unique_ptr<ServerDriver> server;
  std::unique_ptr<ClientDriver> client;

  ServerOptions server_options() const {
    ServerOptions options;
    options.registry.server_name = "hub";
    options.registry.link.role = LinkOptions::Role::server;
    options.registry.link.name = "hub";
    options.listen = {here(link_port)};
    ServerClient edge;
    edge.policy.name = "edge";
    edge.policy.services = {{"raw", seconds(60)}};
    options.clients.emplace("edge", edge);
    options.services.emplace("raw", target(*service));
    options.memory = 64 * kMiB;
    options.connections = 100;
    return options;
  }
  ClientOptions client_options(unsigned lanes = 1) const {
    ClientOptions options;
    options.links.push_back(link_called("default", 0));
    options.links[0].lanes = {lanes, lanes};
    options.services.push_back(raw_at(port));
    options.memory = 64 * kMiB;
    options.connections = 100;
    return options;
  }
  // Slots of links differ beyond their last four bits, which are the lanes'.
  ClientLinkOptions link_called(const std::string& name, std::uint32_t slot) const {
    ClientLinkOptions link;
    link.name = link.group = name;
    link.link.name = "edge";
    link.link.services = {{"raw", {}}};
    link.link.slot = slot;
    link.link.start_id = 1;
    link.servers = {here(link_port)};
    return link;
  }
  static HostPort here(std::uint16_t at) { return HostPort{"127.0.0.1", at}; }
  static ClientService raw_at(std::uint16_t at) {
    ClientService raw;
    raw.name = "raw";
    raw.link = "default";
    raw.listen = here(at);
    return raw;
  }
  static ServerTarget target(const BoundSocket& service) {
    ServerTarget target;
    target.target.address = here(port_of(service));
    target.name = to_string(target.target.address);
    return target;
  }

  void start_server(ServerOptions options) {
    server = std::make_unique<ServerDriver>(loop, std::move(options), at_server);
    REQUIRE(server->listen().ok());
  }
  void start_client(ClientOptions options) {
    client = std::make_unique<ClientDriver>(loop, std::move(options), at_client);
    REQUIRE(client->listen().ok());
  }
  void start() {
    start_server(server_options());
    start_client(client_options());
    until([&] { return at_client.has("link_up"); });
  }

  void until(const std::function<bool()>& done) {
    Timer again(loop.timers(), [] {});
    turn_until(loop, [&] {
      bool more = false;
      if (server) more = static_cast<Loop::Task&>(*server).end_of_turn();
      if (client) more = static_cast<Loop::Task&>(*client).end_of_turn() || more;
      // The test's own sockets are in no poller.
      again.arm(more ? loop.now() : loop.refresh() + milliseconds(1));
      return done();
    });
  }
  void turn_for(Duration time) {
    bool over = false;
    Timer timer(loop.timers(), [&] { over = true; });
    timer.arm(loop.refresh() + time);
    until([&] { return over; });
  }
  // Until a driver stops the loop.
  void until_stopped() {
    until([] { return false; });
  }

  Talker dial_in(std::uint16_t at = 0) const {
    return Talker(dial(*SocketAddress::literal(here(at == 0 ? port : at))));
  }
  bool refuses(std::uint16_t at) const {
    auto address = SocketAddress::literal(here(at));
    Descriptor dialled(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    return ::connect(dialled.get(), address->get(), address->size()) != 0;
  }
  Talker accept_at(const BoundSocket& listener) {
    Descriptor socket;
    until([&] {
      socket.reset(accept4(listener.descriptor(), nullptr, nullptr, SOCK_CLOEXEC));
      return socket.valid();
    });
    return Talker(std::move(socket));
  }
  // A connection that carries both ways.
  Connection connect() {
    Connection connection{dial_in(), {}};
    connection.service = accept_at(*service);
    echo(connection);
    return connection;
  }
  void echo(Connection& connection) {
    std::size_t before = connection.application.hear().size();
    connection.application.say("ping");
    until([&] { return connection.service.hear().ends_with("ping"); });
    connection.service.say("pong");
    until([&] { return connection.application.hear().size() == before + 4; });
    CHECK(connection.application.hear().ends_with("pong"));
  }
  void until_heard(Talker& talker, std::string_view end) {
    until([&] { return talker.hear().ends_with(end); });
  }
  // The only link of the client.
  const LinkDriver& link() const {
    const LinkDriver* found = nullptr;
    client->for_each_link(
        [&](const ClientLink& each, const MemoryPool&) { found = &each.driver(); });
    REQUIRE(found != nullptr);
    return *found;
  }
  // The name of the newest connection.
  std::string newest() {
    std::string id;
    link().for_each_connection(loop.now(), [&](const ConnectionInfo& each) { id = each.id(); });
    return id;
  }
};

}  // namespace holdfast
