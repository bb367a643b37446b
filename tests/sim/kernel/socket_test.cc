// The simulated kernel's sockets say what Linux's say.
#include <cerrno>

#include "tests/sim/kernel/test_support.h"

namespace holdfast::sim {
namespace {

std::string error(int number) {
  return "errno " + std::to_string(number);
}

}  // namespace

TEST_CASE("Bytes arrive in order, then the end, and the other way stays open") {
  Pair pair;
  pair.accept();
  CHECK(pair.send(0, "one") == 3);
  CHECK(pair.send(0, "two") == 3);
  pair.in(0, [](int socket) { return shutdown(socket, SHUT_WR); });
  CHECK(pair.receive(1) == error(EAGAIN));
  pair.net.run(seconds(1));
  CHECK(pair.receive(1, 4) == "onet");
  CHECK(pair.receive(1) == "wo");
  CHECK(pair.receive(1).empty());
  CHECK(pair.send(1, "answer") == 6);
  pair.net.run(seconds(1));
  CHECK(pair.receive(0) == "answer");
}

TEST_CASE("A close with bytes unread is a reset, and so is one that lingers for no time") {
  for (bool unread : {true, false}) {
    Pair pair;
    pair.accept();
    if (unread) pair.send(0, "nobody reads this");
    pair.net.run(seconds(1));
    pair.close(1, !unread);
    pair.net.run(seconds(1));
    CHECK(pair.receive(0) == error(ECONNRESET));  // told once
    CHECK(pair.receive(0).empty());
    CHECK(pair.send(0, "more") == -1);
    CHECK(errno == EPIPE);
  }
}

TEST_CASE("What came before a reset is read before it") {
  Pair pair;
  pair.accept();
  pair.send(1, "last words");
  pair.net.run(seconds(1));
  pair.close(1, true);
  pair.net.run(seconds(1));
  CHECK(pair.receive(0) == "last words");
  CHECK(pair.receive(0) == error(ECONNRESET));
}

TEST_CASE("After the peer's end a reset is EPIPE") {
  Pair pair;
  pair.accept();
  pair.in(1, [](int socket) { return shutdown(socket, SHUT_WR); });
  pair.net.run(seconds(1));
  CHECK(pair.receive(0).empty());
  pair.close(1, true);
  pair.net.run(seconds(1));
  CHECK(pair.in(0, [](int socket) { return take_socket_error(socket); }) == EPIPE);
}

TEST_CASE("Bytes for a closed socket are answered by a reset") {
  Pair pair;
  pair.accept();
  pair.close(1);
  pair.net.run(seconds(1));
  CHECK(pair.receive(0).empty());
  CHECK(pair.send(0, "late") == 4);
  pair.net.run(seconds(1));
  CHECK(pair.send(0, "later") == -1);
  CHECK(errno == EPIPE);
}

TEST_CASE(
    "Where nobody listens a connect is refused, and on a path that swallows SYNs the next one "
    "counts") {
  Pair refused;
  refused.server.in([&] { return close(refused.listener); });
  refused.net.run(seconds(1));
  CHECK(refused.in(0, [](int socket) { return take_socket_error(socket); }) == ECONNREFUSED);

  OnePath net;
  TestProcess server(net.kernel, kServer.host);
  TestProcess client(net.kernel, 0x0a000101);
  server.in([] {
    int made = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in own = kServer.to_sockaddr();
    bind(made, reinterpret_cast<sockaddr*>(&own), sizeof own);
    return listen(made, 10);
  });
  net.path.hang_until = Time(milliseconds(500));
  sockaddr_in to = kServer.to_sockaddr();
  auto ask = [&](int socket) {
    return client.in([&] {
      return connect(socket, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0 ? 0 : errno;
    });
  };
  int made = client.in([] { return socket(AF_INET, SOCK_STREAM, 0); });
  CHECK(ask(made) == EINPROGRESS);
  net.run(milliseconds(900));
  CHECK(ask(made) == EALREADY);
  net.run(milliseconds(200));
  CHECK(ask(made) == 0);
}

TEST_CASE("Descriptors run out, and come back") {
  OnePath net;
  TestProcess process(net.kernel, 1, 2);
  auto make = [&] { return process.in([] { return socket(AF_INET, SOCK_STREAM, 0); }); };
  int first = make();
  CHECK(make() >= 0);
  CHECK(make() == -1);
  CHECK(errno == EMFILE);
  process.in([&] { return close(first); });
  CHECK(make() == first);  // the lowest free number
}

TEST_CASE("Who waits in a listener's queue is accepted once descriptors come back") {
  Pair pair;
  pair.server.set_limit(pair.server.open());
  pair.net.run(seconds(1));
  auto accept = [&] {
    return pair.server.in([&] { return accept4(pair.listener, nullptr, nullptr, 0); });
  };
  CHECK(accept() == -1);
  CHECK(errno == EMFILE);
  CHECK(pair.send(0, "early") == 5);  // the kernels have it, whatever the program can
  pair.net.run(seconds(1));
  // Whoever polls the listener is told of it, now as before.
  int set = pair.server.in([] { return epoll_create1(0); });
  CHECK(set == -1);
  pair.server.set_limit(pair.server.open() + 2);
  set = pair.server.in([&] {
    int made = epoll_create1(0);
    epoll_event event{EPOLLIN, {}};
    epoll_ctl(made, EPOLL_CTL_ADD, pair.listener, &event);
    return made;
  });
  auto ready = [&] {
    return pair.server.in([&] {
      epoll_event event{};
      return epoll_wait(set, &event, 1, 0);
    });
  };
  CHECK(ready() == 1);
  pair.far = accept();
  CHECK(pair.far >= 0);
  CHECK(pair.receive(1) == "early");
  CHECK(ready() == 0);
}

TEST_CASE("A send takes what the buffers hold, and room is told once a third is free") {
  Path::Shape shape;
  shape.send_buffer = shape.receive_buffer = 900;
  Pair pair(shape);
  pair.accept();
  std::string bytes(5000, 'x');
  CHECK(pair.send(0, bytes) == 900);
  pair.net.run(seconds(1));
  CHECK(pair.send(0, bytes) == 900);  // the first are in the receiver's buffer
  pair.net.run(seconds(1));
  CHECK(pair.send(0, bytes) == -1);
  int turns = pair.client.turns;
  pair.client.in([&] {
    int set = epoll_create1(0);
    epoll_event event{EPOLLOUT, {}};
    return epoll_ctl(set, EPOLL_CTL_ADD, pair.near, &event);
  });
  CHECK(pair.receive(1, 100).size() == 100);
  pair.net.run(seconds(1));
  CHECK(pair.client.turns == turns);
  CHECK(pair.receive(1, 800).size() == 800);
  pair.net.run(seconds(1));
  CHECK(pair.client.turns > turns);
  CHECK(pair.send(0, bytes) > 0);
}

}  // namespace holdfast::sim
