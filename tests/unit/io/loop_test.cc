#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <thread>
#include <vector>

#include "common/io/signals.h"
#include "tests/unit/support.h"

namespace holdfast {
namespace {

TEST_CASE("a descriptor that the host does not watch is asked by hand, and nothing ends") {
  Loop loop;
  std::vector<int> told;
  loop.poller().on_refusal([&](int error) { told.push_back(error); });
  // The kernel refuses a plain file with EPERM: as good as any refusal.
  Descriptor file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  REQUIRE(file.valid());
  struct Asked final : Poller::Watcher {
    void on_ready(std::uint32_t events) override { seen |= events, times += 1; }
    std::uint32_t seen = 0;
    int times = 0;
  } watcher;
  {
    Poller::Registration registration(loop.poller(), file.get(), watcher);
    registration.set(EPOLLIN);
    CHECK(loop.poller().refused() == 1);
    CHECK(told == std::vector<int>{EPERM});
    for (int i = 0; i < 100 && watcher.times < 2; ++i) loop.poller().wait(-1);
    CHECK(watcher.times == 2);
    CHECK((watcher.seen & EPOLLIN) != 0);
    registration.set(EPOLLOUT);
    registration.set_patient(true);
    CHECK(loop.poller().refused() == 1);
    watcher.seen = 0;
    for (int i = 0; i < 100 && watcher.seen == 0; ++i) loop.poller().wait(-1);
    CHECK((watcher.seen & EPOLLOUT) != 0);
  }
  CHECK(loop.poller().refused() == 0);
}

TEST_CASE("who took in something new hears in the same turn what was there before it") {
  Loop loop;
  int pipe[2];
  REQUIRE(pipe2(pipe, O_CLOEXEC | O_NONBLOCK) == 0);
  Descriptor out(pipe[0]), in(pipe[1]);
  struct Older final : Poller::Watcher {
    void on_ready(std::uint32_t) override { heard = true; }
    bool heard = false;
  } older;
  struct Taker final : Poller::Watcher {
    void on_ready(std::uint32_t) override {
      // Since the poller was asked an older one's end has come.
      REQUIRE(write(end, "x", 1) == 1);
      if (looks) poller->look_once_more();
    }
    int end = -1;
    bool looks = false;
    Poller* poller = nullptr;
  } taker;
  taker.end = in.get();
  taker.poller = &loop.poller();
  taker.looks = GENERATE(false, true);
  Poller::Registration old(loop.poller(), out.get(), older);
  old.set(Poller::Registration::kRead);
  Poller::Registration taking(loop.poller(), in.get(), taker);
  taking.set_patient(true);
  taking.kick();
  loop.poller().wait(0);
  CHECK(older.heard == taker.looks);
}

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

TEST_CASE("A paused descriptor keeps still at bytes and a half-close and tells of a later reset") {
  Loop loop;
  auto [agent, application] = application_pair();
  Recorder recorder;
  Poller::Registration registration(loop.poller(), agent.get(), recorder);
  registration.set(Poller::Registration::kOnlyErrors);
  REQUIRE(send(application.get(), "x", 1, 0) == 1);
  shutdown(application.get(), SHUT_WR);
  bool over = false;
  Timer later(loop.timers(), [&] { over = true; });
  later.arm(loop.refresh() + milliseconds(50));
  turn_until(loop, [&] { return over; });
  CHECK(recorder.events.empty());
  close_with_reset(application);
  turn_until(loop, [&] { return !recorder.events.empty(); });
  CHECK((recorder.events.back() & EPOLLERR) != 0);
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

TEST_CASE("Who is kicked and ready is called once a turn, and kicked within it in the next") {
  Loop loop;
  auto [agent, application] = application_pair();
  REQUIRE(send(application.get(), "x", 1, 0) == 1);
  Recorder recorder;
  Poller::Registration registration(loop.poller(), agent.get(), recorder);
  registration.set(EPOLLIN);
  recorder.then = [&] { registration.kick(); };
  registration.kick();
  int turns = 0;
  turn_until(loop, [&] {
    CHECK(recorder.events.size() == static_cast<std::size_t>(turns));
    turns += 1;
    return turns > 20;
  });
}

TEST_CASE("A kick counts as well when the kernel tells of something else") {
  Loop loop;
  auto [agent, application] = application_pair();
  Recorder recorder;
  Poller::Registration registration(loop.poller(), agent.get(), recorder);
  registration.set(EPOLLOUT);
  registration.kick();
  turn_until(loop, [&] { return !recorder.events.empty(); });
  CHECK(recorder.events[0] == (EPOLLIN | EPOLLOUT));
}

TEST_CASE("Who becomes patient or leaves after a kick is called as it is then, or not at all") {
  Loop loop;
  auto [one, one_peer] = application_pair();
  auto [other, other_peer] = application_pair();
  Recorder first;
  Recorder second;
  Poller::Registration first_at(loop.poller(), one.get(), first);
  Poller::Registration second_at(loop.poller(), other.get(), second);
  first_at.set(EPOLLIN);
  second_at.set(EPOLLIN);
  // In one turn: the first is called and changes what was due to the second.
  SECTION("patient") {
    first.then = [&] { second_at.set_patient(true); };
    first_at.kick();
    second_at.kick();
    turn_until(loop, [&] { return !second.events.empty(); });
    CHECK(second.events.size() == 1);
  }
  SECTION("gone") {
    first.then = [&] { second_at.leave(); };
    first_at.kick();
    second_at.kick();
    bool later = false;
    Timer timer(loop.timers(), [&] { later = true; });
    timer.arm(loop.refresh() + milliseconds(20));
    turn_until(loop, [&] { return later; });
    CHECK(second.events.empty());
  }
}

void work_for(Duration time) {
  Time until = read_boot_clock() + time;
  while (read_boot_clock() < until) {
  }
}

// Ready all the time, and slow to work off.
struct Stranger final : Poller::Watcher {
  Stranger(Loop& loop, std::vector<int>& order, int number)
      : registration(loop.poller(), pair.first.get(), *this), order_(order), number_(number) {
    REQUIRE(send(pair.second.get(), "x", 1, 0) == 1);
    registration.set_patient(true);
    registration.set(EPOLLIN);
  }
  void on_ready(std::uint32_t) override {
    order_.push_back(number_);
    work_for(microseconds(300));
  }
  std::pair<Descriptor, Descriptor> pair = application_pair();
  Poller::Registration registration;

 private:
  std::vector<int>& order_;
  int number_;
};

TEST_CASE("The patient come in turns, all of them, and no busy other waits for more than one") {
  Loop loop;
  std::vector<int> order;
  std::vector<std::unique_ptr<Stranger>> strangers;
  for (int i = 0; i < 10; ++i) strangers.push_back(std::make_unique<Stranger>(loop, order, i));
  auto [agent, application] = application_pair();
  Recorder other;
  std::size_t worst = 0;
  std::size_t before = 0;
  other.then = [&] {
    worst = std::max(worst, order.size() - before);
    before = order.size();
  };
  Poller::Registration registration(loop.poller(), agent.get(), other);
  REQUIRE(send(application.get(), "x", 1, 0) == 1);
  registration.set(EPOLLIN);
  turn_until(loop, [&] { return order.size() >= 30; });
  CHECK(worst == 1);
  for (int i = 0; i < 10; ++i) CHECK(std::count(order.begin(), order.end(), i) >= 2);
}

TEST_CASE("Busy others have most of the time beside the patient") {
  Loop loop;
  std::vector<int> order;
  Stranger stranger(loop, order, 0);
  auto [agent, application] = application_pair();
  Recorder other;
  other.then = [] { work_for(microseconds(100)); };
  Poller::Registration registration(loop.poller(), agent.get(), other);
  REQUIRE(send(application.get(), "x", 1, 0) == 1);
  registration.set(EPOLLIN);
  turn_until(loop, [&] { return other.events.size() >= 200; });
  CHECK(order.size() >= 5);
  CHECK(order.size() * 4 <= other.events.size());
}

TEST_CASE("Who is patient and kicked is called, and who is patient no more is not lost") {
  Loop loop;
  auto [agent, application] = application_pair();
  Recorder recorder;
  Poller::Registration registration(loop.poller(), agent.get(), recorder);
  registration.set_patient(true);
  registration.set(EPOLLIN);
  registration.kick();
  turn_until(loop, [&] { return recorder.events.size() >= 1; });
  registration.kick();
  registration.set_patient(false);
  turn_until(loop, [&] { return recorder.events.size() >= 2; });
  CHECK(recorder.events.size() == 2);
  REQUIRE(send(application.get(), "x", 1, 0) == 1);
  turn_until(loop, [&] { return recorder.events.size() >= 3; });
  std::size_t before = recorder.events.size();
  registration.set_patient(true);
  turn_until(loop, [&] { return recorder.events.size() > before; });
}

TEST_CASE("A patient one that is gone is not called, kicked or ready") {
  Loop loop;
  std::vector<int> order;
  auto stranger = std::make_unique<Stranger>(loop, order, 0);
  stranger->registration.kick();
  stranger.reset();
  bool later = false;
  Timer timer(loop.timers(), [&] { later = true; });
  timer.arm(loop.refresh() + milliseconds(20));
  turn_until(loop, [&] { return later; });
  CHECK(order.empty());
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
