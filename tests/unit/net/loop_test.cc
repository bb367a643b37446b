#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "common/net/signals.h"
#include "tests/unit/net/support.h"

namespace holdfast {
namespace {

TEST_CASE("Timers run in order, not before their time, and not once cancelled") {
  Loop loop;
  std::vector<int> order;
  Time start = loop.refresh();
  Timer second(loop.timers(), [&] { order.push_back(2); });
  Timer first(loop.timers(), [&] { order.push_back(1); });
  Timer never(loop.timers(), [&] { order.push_back(3); });
  second.arm(start + milliseconds(20));
  first.arm(start + milliseconds(10));
  never.arm(start + milliseconds(5));
  never.cancel();
  turn_until(loop, [&] { return order.size() == 2; });
  CHECK(order == std::vector<int>{1, 2});
  CHECK(loop.refresh() - start >= milliseconds(20));
}

TEST_CASE("A timer may destroy itself and arm another for a time already past") {
  Loop loop;
  bool done = false;
  Timer follower(loop.timers(), [&] { done = true; });
  auto own = std::make_unique<std::unique_ptr<Timer>>();
  *own = std::make_unique<Timer>(loop.timers(), [&] {
    own->reset();
    follower.arm(Time{});
  });
  (*own)->arm(loop.refresh());
  turn_until(loop, [&] { return done; });
}

struct Recorder final : public Poller::Watcher {
  std::vector<std::uint32_t> events;
  std::function<void()> then;
  void on_ready(std::uint32_t ready) override {
    events.push_back(ready);
    if (then) then();
  }
};

TEST_CASE("A paused descriptor tells of a half-close once and of a later reset") {
  Loop loop;
  auto [agent, application] = application_pair();
  Recorder recorder;
  Poller::Registration registration(loop.poller(), agent.get(), recorder);
  registration.set(Poller::Registration::kOnlyNews);
  REQUIRE(send(application.get(), "x", 1, 0) == 1);
  shutdown(application.get(), SHUT_WR);
  int turns = 0;
  turn_until(loop, [&] {
    registration.set(Poller::Registration::kOnlyNews);
    return !recorder.events.empty();
  });
  std::size_t told = recorder.events.size();
  Timer later(loop.timers(), [&] { turns = 1; });
  later.arm(loop.refresh() + milliseconds(50));
  turn_until(loop, [&] { return turns == 1; });
  CHECK(recorder.events.size() <= told + 1);  // it does not spin
  close_with_reset(application);
  turn_until(loop, [&] { return (recorder.events.back() & EPOLLERR) != 0; });
  CHECK(take_socket_error(agent.get()) == EPIPE);  // a reset after the application's FIN
}

TEST_CASE("An event that was already fetched does not reach who is gone") {
  Loop loop;
  auto [one, one_peer] = application_pair();
  auto [other, other_peer] = application_pair();
  Recorder first;
  Recorder second;
  auto first_at = std::make_unique<Poller::Registration>(loop.poller(), one.get(), first);
  auto second_at = std::make_unique<Poller::Registration>(loop.poller(), other.get(), second);
  first_at->set(EPOLLIN);
  second_at->set(EPOLLIN);
  REQUIRE(send(one_peer.get(), "x", 1, 0) == 1);
  REQUIRE(send(other_peer.get(), "x", 1, 0) == 1);
  // Whichever comes first removes both.
  first.then = second.then = [&] {
    first_at.reset();
    second_at.reset();
  };
  turn_until(loop, [&] { return !first.events.empty() || !second.events.empty(); });
  CHECK(first.events.size() + second.events.size() == 1);
}

TEST_CASE("Who is kicked is called in the next turn though the kernel has nothing") {
  Loop loop;
  auto [agent, application] = application_pair();
  Recorder recorder;
  Poller::Registration registration(loop.poller(), agent.get(), recorder);
  registration.set(EPOLLIN);
  registration.kick();
  turn_until(loop, [&] { return !recorder.events.empty(); });
  CHECK(recorder.events == std::vector<std::uint32_t>{EPOLLIN});
}

TEST_CASE("Another thread wakes the loop") {
  Loop loop;
  bool woken = false;
  Wakeup wakeup(loop, [&] { woken = true; });
  std::thread other([&] { wakeup.wake(); });
  turn_until(loop, [&] { return woken; });
  other.join();
}

TEST_CASE("A signal comes as a call on the loop") {
  Loop loop;
  int got = 0;
  SignalWatcher watcher(loop, {SIGUSR1}, [&](int number) { got = number; });
  kill(getpid(), SIGUSR1);
  turn_until(loop, [&] { return got == SIGUSR1; });
}

}  // namespace
}  // namespace holdfast
