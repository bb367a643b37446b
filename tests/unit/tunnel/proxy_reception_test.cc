#include "common/tunnel/proxy_reception.h"

#include "tests/unit/support.h"

namespace holdfast {
namespace {

struct Reception {
  Loop loop;
  Descriptor application;
  SocketAddress from;
  int socket = -1;  // the agent's
  std::optional<ProxyReception::Outcome> outcome;
  std::unique_ptr<ProxyReception> reception;

  explicit Reception(Duration patience = seconds(5)) {
    auto [agent, theirs] = application_pair();
    application = std::move(theirs);
    from = SocketAddress::peer_of(agent.get());
    socket = agent.get();
    loop.refresh();
    reception = std::make_unique<ProxyReception>(
        loop, std::move(agent), patience,
        [this](ProxyReception::Outcome got) { outcome = std::move(got); });
  }
  void say(const std::string& bytes) {
    REQUIRE(send(application.get(), bytes.data(), bytes.size(), 0) ==
            static_cast<ssize_t>(bytes.size()));
  }
  // Time for what was said to be read; with nothing to read the loop would stand still.
  void turn() {
    bool over = false;
    Timer timer(loop.timers(), [&] { over = true; });
    timer.arm(loop.refresh() + milliseconds(20));
    turn_until(loop, [&] { return over; });
  }
  ProxyReception::Outcome& wait() {
    turn_until(loop, [&] { return outcome.has_value(); });
    return *outcome;
  }
};

const std::string kLine = "PROXY TCP4 192.0.2.7 10.0.5.7 51000 5432\r\n";

std::string rest_of(const Descriptor& socket) {
  char bytes[64];
  ssize_t size = recv(socket.get(), bytes, sizeof bytes, MSG_DONTWAIT);
  return {bytes, size > 0 ? static_cast<std::size_t>(size) : 0};
}

TEST_CASE("a balancer is whoever is in one of the networks, and no Unix socket is") {
  std::vector<Network> networks = {*parse_network("192.0.2.0/24"), *parse_network("2001:db8::/32")};
  auto at = [](const char* host) { return SocketAddress::literal({host, 1})->endpoint(); };
  CHECK(is_balancer(networks, at("192.0.2.7")));
  CHECK(is_balancer(networks, at("2001:db8::7")));
  CHECK_FALSE(is_balancer(networks, at("198.51.100.7")));
  CHECK_FALSE(is_balancer(networks, Endpoint{EndpointFamily::unix_socket, {}, 0}));
  CHECK_FALSE(is_balancer({}, at("192.0.2.7")));
}

TEST_CASE("A header is taken and the application's bytes are left in the socket") {
  Reception one;
  one.say(kLine + "hello");
  auto& outcome = one.wait();
  REQUIRE(outcome.socket.valid());
  CHECK(outcome.source.to_string() == "192.0.2.7:51000");
  CHECK(outcome.destination.to_string() == "10.0.5.7:5432");
  CHECK(rest_of(outcome.socket) == "hello");
}

TEST_CASE("A header may come in pieces, the last one with what follows") {
  Reception one;
  one.say(kLine.substr(0, 7));
  one.turn();
  CHECK_FALSE(one.outcome);
  one.say(kLine.substr(7, 10));
  one.turn();
  CHECK_FALSE(one.outcome);
  one.say(kLine.substr(17) + "x");
  CHECK(rest_of(one.wait().socket) == "x");
}

TEST_CASE("A header in part stays in the socket, for another process") {
  Reception one;
  one.say(kLine.substr(0, 7));
  one.turn();
  Descriptor same(dup(one.socket));
  one.reception.reset();
  CHECK(rest_of(same) == kLine.substr(0, 7));
}

TEST_CASE("Who speaks for himself has the address of his socket") {
  Reception one;
  one.say("PROXY UNKNOWN\r\n");
  auto& outcome = one.wait();
  CHECK(outcome.source == one.from.endpoint());
  CHECK(outcome.destination == Endpoint{});
}

TEST_CASE("What is no header, an early end and silence all end with a reason and a reset") {
  Reception wrong, gone, silent(milliseconds(20));
  wrong.say("GET / HTTP/1.0\r\n\r\n");
  CHECK(wrong.wait().reason == "no PROXY header");
  CHECK_FALSE(wrong.outcome->socket.valid());
  gone.say("PROXY TC");
  shutdown(gone.application.get(), SHUT_WR);
  CHECK(gone.wait().reason == "it ended before its PROXY header did");
  CHECK(silent.wait().reason == "no PROXY header came in time");
  char byte = 0;
  CHECK(recv(silent.application.get(), &byte, 1, 0) == -1);
  CHECK(errno == ECONNRESET);
}

}  // namespace
}  // namespace holdfast
