// Paths: rate, queues, loss as TCP shows it, sizes that vanish, and what the kernel says of them.
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <sys/ioctl.h>

#include <tuple>

#include "tests/sim/kernel/test_support.h"

namespace holdfast::sim {
namespace {

// When the last of `bytes` has arrived; a second at most is waited at a time.
Duration transfer_time(Pair& pair, std::size_t bytes, Duration most) {
  Time began = pair.net.kernel.now();
  std::string rest(bytes, 'x');
  std::size_t received = 0;
  while (received < bytes && pair.net.kernel.now() < began + most) {
    if (!rest.empty()) {
      ssize_t sent = pair.send(0, rest);
      if (sent > 0) rest.erase(0, static_cast<std::size_t>(sent));
    }
    pair.net.run(milliseconds(10));
    std::string got = pair.receive(1);
    if (got.rfind("errno", 0) != 0) received += got.size();
  }
  return pair.net.kernel.now() - began;
}

tcp_info info_of(Pair& pair) {
  tcp_info info{};
  pair.in(0, [&](int socket) {
    socklen_t size = sizeof info;
    return getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size);
  });
  return info;
}

int queued(Pair& pair, unsigned long request) {
  int bytes = -1;
  pair.in(0, [&](int socket) { return ioctl(socket, request, &bytes); });
  return bytes;
}

}  // namespace

TEST_CASE("A path's rate is its rate") {
  Path::Shape shape;
  shape.delay = milliseconds(20);
  shape.rate = 100000;
  Pair pair(shape);
  pair.accept();
  Duration took = transfer_time(pair, 200000, seconds(10));
  CHECK(took >= milliseconds(2000));
  CHECK(took <= milliseconds(2500));
}

TEST_CASE("What is acknowledged, in flight and unsent adds up, whoever is asked") {
  Path::Shape shape;
  shape.delay = milliseconds(50);
  shape.rate = 100000;
  shape.send_buffer = 100000;
  Pair pair(shape);
  pair.accept();
  CHECK(pair.send(0, std::string(100000, 'x')) == 100000);
  std::uint64_t before = 0;
  for (int i = 0; i < 10; ++i) {
    pair.net.run(milliseconds(100));
    pair.receive(1);
    tcp_info info = info_of(pair);
    CHECK(info.tcpi_bytes_acked >= before);
    before = info.tcpi_bytes_acked;
    CHECK(queued(pair, SIOCOUTQ) == 100000 - static_cast<int>(before));
    CHECK(queued(pair, SIOCOUTQNSD) == static_cast<int>(info.tcpi_notsent_bytes));
    CHECK(info.tcpi_rtt >= 100000);
  }
  CHECK(before > 70000);
}

TEST_CASE("A lost segment holds up what is behind it, and nothing is missing") {
  Path::Shape shape;
  shape.delay = milliseconds(20);
  shape.rate = 1000000;
  shape.loss = 30;
  Pair pair(shape);
  pair.accept();
  Duration took = transfer_time(pair, 300000, seconds(60));
  CHECK(took < seconds(60));
  CHECK(took > milliseconds(500));
  CHECK(info_of(pair).tcpi_total_retrans > 0);
}

TEST_CASE("A queue of few bytes costs a sender some of them, a deep one its delay") {
  Path::Shape shape;
  shape.delay = milliseconds(10);
  shape.rate = 200000;
  shape.queue = 5000;
  shape.send_buffer = shape.receive_buffer = 1 << 20;
  Pair shallow(shape);
  shallow.accept();
  CHECK(transfer_time(shallow, 400000, seconds(60)) < seconds(10));
  CHECK(info_of(shallow).tcpi_total_retrans > 0);
  shape.queue = UINT64_MAX;
  Pair deep(shape);
  deep.accept();
  transfer_time(deep, 400000, seconds(60));
  CHECK(info_of(deep).tcpi_total_retrans == 0);
}

TEST_CASE("Behind bulk of another connection a word waits in a shared queue, and not in its own") {
  for (bool by_flow : {false, true}) {
    Path::Shape shape;
    shape.rate = 100000;
    shape.queue_by_flow = by_flow;
    shape.send_buffer = shape.receive_buffer = 1 << 20;
    Pair pair(shape);
    pair.accept();
    Pair::Ends other = pair.another();
    CHECK(pair.send(0, std::string(400000, 'x')) == 400000);
    pair.net.run(seconds(1));  // the window has grown: most of it waits
    pair.receive(1);
    pair.net.run(milliseconds(100));
    std::tie(pair.near, pair.far) = other;
    Time asked = pair.net.kernel.now();
    CHECK(pair.send(0, "word") == 4);
    std::string got;
    while (got != "word" && pair.net.kernel.now() < asked + seconds(10)) {
      pair.net.run(milliseconds(1));
      got = pair.receive(1);
    }
    Duration took = pair.net.kernel.now() - asked;
    CAPTURE(by_flow, took.count());
    if (by_flow) {
      CHECK(took < milliseconds(5));
    } else {
      CHECK(took > milliseconds(200));
    }
  }
}

TEST_CASE("A flow that has its own queue loses its own segments, and its share is half") {
  Path::Shape shape;
  shape.delay = milliseconds(5);
  shape.rate = 100000;
  shape.queue_by_flow = true;
  shape.queue = 8000;
  shape.send_buffer = shape.receive_buffer = 1 << 20;
  Pair pair(shape);
  pair.accept();
  Pair::Ends bulk{pair.near, pair.far};
  Pair::Ends other = pair.another();
  CHECK(pair.send(0, std::string(1000000, 'x')) == 1000000);
  std::tie(pair.near, pair.far) = other;
  // Two segments at a time stay below the queue's limit, whatever the other one does.
  Time began = pair.net.kernel.now();
  for (int i = 0; i < 50; ++i) {
    pair.send(0, std::string(2000, 'y'));
    std::size_t came = 0;
    while (came < 2000 && pair.net.kernel.now() < began + seconds(60)) {
      pair.net.run(milliseconds(1));
      std::string got = pair.receive(1);
      if (got.rfind("errno", 0) != 0) came += got.size();
    }
  }
  CHECK(info_of(pair).tcpi_total_retrans == 0);
  // 2,132 bytes with their headers at half the rate, and the delay.
  Duration each = (pair.net.kernel.now() - began) / 50;
  CHECK(each > milliseconds(35));
  CHECK(each < milliseconds(60));
  std::tie(pair.near, pair.far) = bulk;
  CHECK(info_of(pair).tcpi_total_retrans > 0);
}

TEST_CASE("Lost segments come in bursts where the path has bursts") {
  Path::Shape shape;
  shape.delay = milliseconds(20);
  shape.rate = 1000000;
  shape.loss = 5;
  shape.burst = milliseconds(30);
  Pair pair(shape);
  pair.accept();
  Duration took = transfer_time(pair, 500000, seconds(60));
  CHECK(took < seconds(60));
  // Some three losses of 350 segments by themselves; what is in the burst is lost with each.
  CHECK(info_of(pair).tcpi_total_retrans > 5);
}

TEST_CASE("A middlebox that answers SYNs makes connections that lead nowhere, for good") {
  OnePath net;
  TestProcess server(net.kernel, kServer.host);
  TestProcess client(net.kernel, 0x0a000101);
  int listener = server.in([] {
    int made = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in own = kServer.to_sockaddr();
    bind(made, reinterpret_cast<sockaddr*>(&own), sizeof own);
    listen(made, 10);
    return made;
  });
  auto dial = [&] {
    return client.in([] {
      int made = socket(AF_INET, SOCK_STREAM, 0);
      sockaddr_in to = kServer.to_sockaddr();
      ::connect(made, reinterpret_cast<sockaddr*>(&to), sizeof to);
      return made;
    });
  };
  auto stands = [&](int socket) {
    return client.in([&] {
      sockaddr_in to = kServer.to_sockaddr();
      return ::connect(socket, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
    });
  };
  auto accepted = [&] {
    return server.in([&] { return accept4(listener, nullptr, nullptr, 0) >= 0; });
  };
  net.path.hang_until = net.path.answer_until = Time(seconds(5));
  int nowhere = dial();
  net.run(seconds(1));
  CHECK(stands(nowhere));
  CHECK_FALSE(accepted());
  client.in([&] {
    iovec one{const_cast<char*>("hello"), 5};
    return send_vector(nowhere, {&one, 1});
  });
  net.run(seconds(9));  // the outage is over
  CHECK_FALSE(accepted());
  CHECK(client.in([&] {
    char byte = 0;
    return recv(nowhere, &byte, 1, 0) < 0 && errno == EAGAIN;
  }));
  int somewhere = dial();
  net.run(seconds(1));
  CHECK(stands(somewhere));
  CHECK(accepted());
}

TEST_CASE(
    "Segments over the path's size never arrive, but those of who asked for smaller ones before "
    "connect") {
  Path::Shape shape;
  shape.largest = 1000;
  Pair pair(shape);
  pair.accept();
  CHECK(pair.send(0, std::string(900, 'x')) == 900);
  pair.net.run(seconds(1));
  CHECK(pair.receive(1).size() == 900);
  pair.send(0, std::string(5000, 'x'));
  pair.net.run(seconds(60));
  CHECK(pair.receive(1) == "errno " + std::to_string(EAGAIN));
  CHECK(info_of(pair).tcpi_retransmits >= 2);
  CHECK(info_of(pair).tcpi_bytes_acked == 900);

  int small = pair.client.in([] {
    int made = socket(AF_INET, SOCK_STREAM, 0);
    int most = 536;
    setsockopt(made, IPPROTO_TCP, TCP_MAXSEG, &most, sizeof most);
    sockaddr_in to = kServer.to_sockaddr();
    connect(made, reinterpret_cast<sockaddr*>(&to), sizeof to);
    return made;
  });
  pair.near = small;
  pair.accept();
  pair.send(0, std::string(5000, 'x'));
  pair.net.run(seconds(1));
  CHECK(pair.receive(1).size() == 5000);
}

TEST_CASE("A cut of one side only: the other believes in it and hears nothing") {
  Pair pair;
  pair.accept();
  pair.net.last().cut(Connection::Cut::reset, true, false);
  pair.net.run(seconds(1));
  CHECK(pair.receive(0) == "errno " + std::to_string(ECONNRESET));
  CHECK(pair.receive(1) == "errno " + std::to_string(EAGAIN));
  CHECK(pair.send(1, "hello?") == 6);
}

TEST_CASE("A cut at an offset lets exactly the bytes before it pass") {
  Pair pair;
  pair.net.run(seconds(1));
  pair.far = pair.server.in([&] { return accept4(pair.listener, nullptr, nullptr, 0); });
  pair.net.last().cut_at(Direction::to_server, 7);
  CHECK(pair.send(0, "0123456789") == 10);
  pair.net.run(seconds(1));
  CHECK(pair.receive(1) == "0123456");
  CHECK(pair.receive(1) == "errno " + std::to_string(ECONNRESET));
}

TEST_CASE("What is held comes when the hold is over") {
  Pair pair;
  pair.accept();
  pair.net.last().hold(Direction::to_server, pair.net.kernel.now() + seconds(3));
  pair.send(0, "late");
  pair.net.run(seconds(2));
  CHECK(pair.receive(1) == "errno " + std::to_string(EAGAIN));
  pair.net.run(seconds(2));
  CHECK(pair.receive(1) == "late");
}

}  // namespace holdfast::sim
