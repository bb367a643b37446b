#include "common/state/socket_counters.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <thread>
#include <utility>

#include "tests/catch.h"

namespace holdfast {
namespace {

// Two ends of a TCP connection: `accepted` is looked at.
struct Pair {
  int connected = -1;
  int accepted = -1;

  Pair() {
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(bind(listener, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(listen(listener, 1) == 0);
    REQUIRE(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    connected = socket(AF_INET, SOCK_STREAM, 0);
    REQUIRE(connect(connected, reinterpret_cast<sockaddr*>(&address), size) == 0);
    accepted = accept(listener, nullptr, nullptr);
    REQUIRE(accepted >= 0);
    close(listener);
  }
  ~Pair() {
    close(accepted);
    if (connected >= 0) close(connected);
  }
  void reset() {
    linger now{1, 0};
    REQUIRE(setsockopt(connected, SOL_SOCKET, SO_LINGER, &now, sizeof now) == 0);
    close(std::exchange(connected, -1));
  }
};

void say(int socket, std::size_t size) {
  std::string bytes(size, 'x');
  REQUIRE(send(socket, bytes.data(), size, 0) == static_cast<ssize_t>(size));
}

void hear(int socket, std::size_t size) {
  std::string bytes(size, 0);
  REQUIRE(recv(socket, bytes.data(), size, MSG_WAITALL) == static_cast<ssize_t>(size));
}

// What the peer does comes in a moment.
template <typename Condition>
SocketCounters once(int socket, Condition condition) {
  for (int i = 0; i < 2000; ++i) {
    auto counters = read_counters(socket);
    REQUIRE(counters.has_value());
    if (condition(*counters)) return *counters;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  FAIL("it never comes");
  return {};
}

}  // namespace

TEST_CASE("bytes read and written are counted, and neither what waits nor what was peeked at",
          "[host]") {
  Pair pair;
  CHECK(read_counters(pair.accepted)->read == 0);
  CHECK(read_counters(pair.accepted)->written == 0);
  CHECK(read_counters(pair.connected)->written == 1);  // its SYN
  say(pair.connected, 100);
  say(pair.accepted, 70);
  hear(pair.accepted, 30);
  char byte = 0;
  REQUIRE(recv(pair.accepted, &byte, 1, MSG_PEEK) == 1);
  SocketCounters counters = *read_counters(pair.accepted);
  CHECK(counters.read == 30);
  CHECK(counters.written == 70);
  CHECK_FALSE(counters.closed);
}

TEST_CASE("a FIN is no byte, whichever way and whatever is unread", "[host]") {
  Pair pair;
  say(pair.connected, 10);
  shutdown(pair.connected, SHUT_WR);
  SocketCounters counters = once(pair.accepted, [](auto& c) { return c.fin_came; });
  CHECK(counters.read == 0);
  hear(pair.accepted, 10);
  char byte = 0;
  REQUIRE(recv(pair.accepted, &byte, 1, 0) == 0);
  CHECK(read_counters(pair.accepted)->read == 10);
  say(pair.accepted, 5);
  shutdown(pair.accepted, SHUT_WR);
  counters = *read_counters(pair.accepted);
  if (!counters.closed) CHECK(counters.written == 5);
  Pair first;
  say(first.accepted, 5);
  shutdown(first.accepted, SHUT_WR);
  counters = *read_counters(first.accepted);
  CHECK(counters.fin_out);
  CHECK(counters.written == 5);
}

TEST_CASE("a reset leaves the counts as they are", "[host]") {
  Pair pair;
  say(pair.connected, 10);
  hear(pair.accepted, 4);
  say(pair.accepted, 3);
  hear(pair.connected, 3);
  pair.reset();
  SocketCounters counters = once(pair.accepted, [](auto& c) { return c.closed; });
  CHECK(counters.read == 4);
  CHECK(counters.written == 3);
}

TEST_CASE("urgent data is counted where it is read in line", "[host]") {
  Pair pair;
  int yes = 1;
  REQUIRE(setsockopt(pair.accepted, SOL_SOCKET, SO_OOBINLINE, &yes, sizeof yes) == 0);
  say(pair.connected, 3);
  REQUIRE(send(pair.connected, "u", 1, MSG_OOB) == 1);
  say(pair.connected, 3);
  hear(pair.accepted, 3);
  CHECK(once(pair.accepted, [](auto&) { return true; }).read <= 7);
  hear(pair.accepted, 1);
  hear(pair.accepted, 3);
  CHECK(read_counters(pair.accepted)->read == 7);
}

TEST_CASE("a Unix socket counts what is read", "[host]") {
  int ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
  CHECK_FALSE(read_counters(ends[0]).has_value());
  CHECK_FALSE(read_of_unix(ends[0]).has_value());
  REQUIRE(count_unix(ends[0]));
  CHECK(read_of_unix(ends[0]) == 0);
  say(ends[1], 100);
  hear(ends[0], 30);
  CHECK(read_of_unix(ends[0]) == 30);
  hear(ends[0], 70);
  CHECK(read_of_unix(ends[0]) == 100);
  close(ends[0]);
  close(ends[1]);
}

TEST_CASE("what is no socket has no counts") {
  CHECK_FALSE(read_counters(-1).has_value());
  CHECK_FALSE(read_of_unix(-1).has_value());
}

}  // namespace holdfast
