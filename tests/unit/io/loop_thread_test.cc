// Loops on threads of their own: standing still, being asked, ending, and what is handed to them.
#include "common/io/loop_thread.h"

#include "common/io/mailbox.h"
#include "common/io/timer.h"
#include "tests/unit/support.h"

namespace holdfast {
namespace {

// Counts its turns, of which it has one after the other.
struct Busy final : public Loop::Task {
  std::uint64_t turns = 0;
  bool end_of_turn() override {
    turns += 1;
    return true;
  }
};

struct Idle final : public Loop::Task {
  bool end_of_turn() override { return false; }
};

TEST_CASE("What is paused stands still, however often it is asked, and goes on when all are done") {
  Busy task;
  LoopThread thread;
  thread.run(task, [] {});
  std::uint64_t before = 0;
  {
    LoopsPause outer({&thread});
    before = task.turns;
    { LoopsPause inner({&thread}); }
    std::this_thread::sleep_for(milliseconds(20));
    CHECK(task.turns == before);
  }
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  std::uint64_t now = before;
  while (now == before && std::chrono::steady_clock::now() < deadline) {
    LoopsPause look({&thread});
    now = task.turns;
  }
  CHECK(now > before);
  thread.stop();
}

TEST_CASE("An idle loop is woken to stand still, many times in a row") {
  Idle task;
  LoopThread first;
  LoopThread second;
  first.run(task, [] {});
  second.run(task, [] {});
  for (int round = 0; round < 1000; ++round) LoopsPause look({&first, &second});
  first.stop();
  second.stop();
}

TEST_CASE("A loop that ended, or never began, is paused already") {
  struct Ends final : public Loop::Task {
    Loop* loop = nullptr;
    bool end_of_turn() override {
      loop->stop();
      return false;
    }
  };
  Ends task;
  LoopThread thread;
  task.loop = &thread.loop();
  { LoopsPause look({&thread}); }
  CHECK(thread.ended());
  std::atomic<bool> told{false};
  thread.run(task, [&] { told = true; });
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!told && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  CHECK(told);
  CHECK(thread.ended());
  { LoopsPause look({&thread}); }
}

TEST_CASE("A timer armed on a paused loop goes off on its thread") {
  Idle task;
  LoopThread thread;
  std::atomic<bool> fired{false};
  std::thread::id on;
  Timer timer(thread.loop().timers(), [&] {
    on = std::this_thread::get_id();
    fired = true;
  });
  thread.run(task, [] {});
  {
    LoopsPause look({&thread});
    timer.arm(thread.loop().now() + milliseconds(5));
  }
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!fired && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  REQUIRE(fired);
  CHECK(on != std::this_thread::get_id());
  thread.stop();
}

TEST_CASE("What several threads put into a mailbox arrives once, each one's in order") {
  Loop loop;
  std::vector<std::pair<int, int>> taken;
  Mailbox<std::pair<int, int>> mailbox(loop,
                                       [&](std::pair<int, int> item) { taken.push_back(item); });
  constexpr int kEach = 500;
  auto put = [&](int who) {
    for (int number = 0; number < kEach; ++number) mailbox.put({who, number});
  };
  std::thread one([&] { put(0); });
  std::thread other([&] { put(1); });
  turn_until(loop, [&] { return taken.size() == 2 * kEach; });
  one.join();
  other.join();
  int next[2] = {0, 0};
  bool in_order = true;
  for (auto [who, number] : taken) in_order = in_order && number == next[who]++;
  CHECK(in_order);
}

}  // namespace
}  // namespace holdfast
