// When a socket's host counts as gone. What happens to its connection: tests/e2e/test_patience.py.
#include "common/tunnel/patience.h"

#include <netinet/tcp.h>

#include "tests/unit/support.h"

namespace holdfast {
namespace {

int option(int descriptor, int name) {
  int value = 0;
  socklen_t size = sizeof value;
  REQUIRE(getsockopt(descriptor, IPPROTO_TCP, name, &value, &size) == 0);
  return value;
}

TEST_CASE("By default a vanished host is found within 15 minutes, or the longer grace") {
  CHECK(keepalive_of({}, seconds(300)) == seconds(900));
  CHECK(keepalive_of({}, seconds(8 * 3600)) == seconds(8 * 3600));
  CHECK(keepalive_of({seconds(30), {}, {}}, seconds(300)) == seconds(30));
}

TEST_CASE("What the kernel is told comes to the time that was asked for") {
  for (int whole : {2, 3, 5, 10, 60, 299, 900, 3600, 86400, 7 * 86400}) {
    INFO(whole);
    KeepaliveTimes times = keepalive_times(seconds(whole));
    int sum = times.idle_s + times.interval_s * times.count;
    CHECK(sum >= whole);
    CHECK(sum < whole + times.interval_s);
    CHECK(times.idle_s <= 32767);
    CHECK(times.interval_s <= 32767);
    CHECK(times.count <= 127);
  }
  CHECK(keepalive_times(milliseconds(10)).idle_s == 1);
}

TEST_CASE("A socket has the keepalive that it was given, and takes another") {
  auto [agent, application] = application_pair();
  for (int whole : {900, 7 * 86400, 2}) {
    set_keepalive(agent.get(), seconds(whole));
    KeepaliveTimes times = keepalive_times(seconds(whole));
    CHECK(option(agent.get(), TCP_KEEPIDLE) == times.idle_s);
    CHECK(option(agent.get(), TCP_KEEPINTVL) == times.interval_s);
    CHECK(option(agent.get(), TCP_KEEPCNT) == times.count);
  }
  // It would end who does not read.
  CHECK(option(agent.get(), TCP_USER_TIMEOUT) == 0);
}

TEST_CASE("An application that does not read has not vanished") {
  Loop loop;
  auto [agent, application] = application_pair();
  std::string much(1 << 20, 'x');
  while (send(agent.get(), much.data(), much.size(), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
  }
  REQUIRE(unsent_bytes(agent.get()) > 0);
  // Its kernel answers each question for room.
  int looks = 0;
  Timer timer(loop.timers(), [&, &socket = agent] {  // clang 14 takes no binding as it is
    CHECK_FALSE(has_vanished(socket.get(), milliseconds(300)));
    looks += 1;
    timer.arm(loop.now() + milliseconds(20));
  });
  timer.arm(loop.refresh());
  turn_until(loop, [&] { return looks == 75; });
}

}  // namespace
}  // namespace holdfast
