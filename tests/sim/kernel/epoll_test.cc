// The simulated kernel's epoll, as the agents' Poller uses it.
#include <sys/timerfd.h>

#include "tests/sim/kernel/test_support.h"

namespace holdfast::sim {
namespace {

struct Set {
  explicit Set(TestProcess& owner)
      : process(owner), descriptor(owner.in([] { return epoll_create1(0); })) {}
  void control(int operation, int member, std::uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.fd = member;
    CHECK(process.in([&] { return epoll_ctl(descriptor, operation, member, &event); }) == 0);
  }
  // The events of at most `most` members, and who they are.
  std::vector<std::pair<int, std::uint32_t>> wait(int most = 10) {
    std::vector<epoll_event> events(static_cast<std::size_t>(most));
    int count = process.in([&] { return epoll_wait(descriptor, events.data(), most, 0); });
    std::vector<std::pair<int, std::uint32_t>> told;
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      told.emplace_back(event.data.fd, event.events);
    }
    return told;
  }

  TestProcess& process;
  int descriptor;
};

using Told = std::vector<std::pair<int, std::uint32_t>>;

}  // namespace

TEST_CASE("A level is told again until it is gone, an edge once") {
  Pair pair;
  pair.accept();
  Set level(pair.client);
  Set edge(pair.client);
  level.control(EPOLL_CTL_ADD, pair.near, EPOLLIN);
  edge.control(EPOLL_CTL_ADD, pair.near, EPOLLIN | EPOLLET);
  CHECK(level.wait().empty());
  pair.send(1, "something");
  pair.net.run(seconds(1));
  CHECK(level.wait() == Told{{pair.near, EPOLLIN}});
  CHECK(level.wait() == Told{{pair.near, EPOLLIN}});
  CHECK(edge.wait() == Told{{pair.near, EPOLLIN}});
  CHECK(edge.wait().empty());
  pair.receive(0);
  CHECK(level.wait().empty());
}

TEST_CASE("An edge that waits for errors alone hears of no bytes and of no half-close") {
  Pair pair;
  pair.accept();
  Set set(pair.client);
  set.control(EPOLL_CTL_ADD, pair.near, EPOLLET);
  pair.send(1, "bytes");
  pair.in(1, [](int socket) { return shutdown(socket, SHUT_WR); });
  pair.net.run(seconds(1));
  CHECK(set.wait().empty());
  pair.close(1, true);
  pair.net.run(seconds(1));
  REQUIRE(set.wait().size() == 1);
  CHECK(set.wait().empty());
}

TEST_CASE("Members are told in turn, however few are asked for at once") {
  OnePath net;
  TestProcess process(net.kernel, 1);
  Set set(process);
  std::vector<int> timers;
  for (int i = 0; i < 3; ++i) {
    timers.push_back(process.in([] { return timerfd_create(CLOCK_BOOTTIME, 0); }));
    itimerspec when{};
    when.it_value.tv_nsec = 1000 * (i + 1);
    process.in([&] { return timerfd_settime(timers.back(), TFD_TIMER_ABSTIME, &when, nullptr); });
    set.control(EPOLL_CTL_ADD, timers.back(), EPOLLIN);
  }
  net.run(seconds(1));
  std::vector<int> order;
  for (int i = 0; i < 6; ++i) order.push_back(set.wait(1).at(0).first);
  CHECK(order ==
        std::vector<int>{timers[0], timers[1], timers[2], timers[0], timers[1], timers[2]});
}

TEST_CASE("A set within a set is ready while one of its members is") {
  Pair pair;
  pair.accept();
  Set inner(pair.client);
  Set outer(pair.client);
  outer.control(EPOLL_CTL_ADD, inner.descriptor, EPOLLIN);
  inner.control(EPOLL_CTL_ADD, pair.near, EPOLLIN);
  CHECK(outer.wait().empty());
  pair.send(1, "x");
  pair.net.run(seconds(1));
  CHECK(outer.wait() == Told{{inner.descriptor, EPOLLIN}});
  pair.receive(0);
  CHECK(outer.wait().empty());
}

TEST_CASE("A process that leaves something unread runs again, until it has read all") {
  Pair pair;
  pair.accept();
  Set set(pair.client);
  set.control(EPOLL_CTL_ADD, pair.near, EPOLLIN);
  std::vector<std::string> read;
  pair.client.at_turn = [&] {
    if (!set.wait().empty()) read.push_back(pair.receive(0, 4));
    return false;
  };
  pair.send(1, "all of it.");
  pair.net.run(seconds(1));
  CHECK(read == std::vector<std::string>{"all ", "of i", "t."});
}

TEST_CASE("A stalled process runs when its stall is over, and then at once") {
  Pair pair;
  pair.accept();
  Set set(pair.client);
  set.control(EPOLL_CTL_ADD, pair.near, EPOLLIN);
  pair.client.stall(pair.net.kernel.now() + seconds(5));
  pair.send(1, "x");
  int turns = pair.client.turns;
  pair.net.run(seconds(4));
  CHECK(pair.client.turns == turns);
  pair.net.run(seconds(2));
  CHECK(pair.client.turns == turns + 1);
}

}  // namespace holdfast::sim
