#include "client-agent/loop_watch.h"

#include <random>

#include "tests/catch.h"

namespace holdfast {
namespace {

using Found = LoopWatch::Found;
using Answer = LoopWatch::Answer;

// Connections that come and go at times a millisecond apart.
struct Watched {
  LoopWatch watch{MarkKey{1}};
  Time now{seconds(1000)};
  std::uint64_t marks = 0;

  void pass(Duration duration = milliseconds(1)) { now += duration; }
  // A stream of `from` is opened, its server connects to the listener of `to`, and says so.
  Answer feed(const char* from, const char* to, bool unique = true) {
    Time opened = now;
    pass();
    std::uint64_t mark = ++marks;
    Found early = watch.accepted(to, {mark, unique}, now);
    CHECK_FALSE(early);
    pass();
    return watch.connected(from, mark, opened, now);
  }
  // A stream whose service is somewhere else.
  Answer reach(const char* from) {
    Time opened = now;
    pass();
    return watch.connected(from, ++marks, opened, now);
  }
};

TEST_CASE("A service whose connections all come back to it is a loop at the fourth") {
  Watched w;
  CHECK_FALSE(w.reach("web").feeds);
  for (int i = 0; i < 3; ++i) {
    Answer answer = w.feed("web", "web");
    CHECK(answer.feeds);
    CHECK_FALSE(answer.loop);
    CHECK_FALSE(answer.found);
    CHECK_FALSE(w.watch.refuses("web", w.now));
  }
  Answer fourth = w.feed("web", "web");
  REQUIRE(fourth.found);
  CHECK(*fourth.found == "web -> web");
  CHECK(fourth.loop);
  CHECK(w.watch.refuses("web", w.now));
  CHECK_FALSE(w.watch.refuses("db", w.now));
}

TEST_CASE("Where ends are of private networks it takes eight") {
  Watched w;
  for (int i = 0; i < 7; ++i) CHECK_FALSE(w.feed("web", "web", false).found);
  CHECK(w.feed("web", "web", false).found);
}

TEST_CASE("A loop's service is tried again after a while, and what was seen before is forgotten") {
  Watched w;
  while (!w.watch.refuses("web", w.now)) w.feed("web", "web");
  // Those that are still on their way belong to it, and are no news.
  Answer late = w.feed("web", "web");
  CHECK(late.loop);
  CHECK_FALSE(late.found);
  CHECK_FALSE(w.reach("web").loop);
  w.pass(LoopWatch::kRefused);
  CHECK_FALSE(w.watch.refuses("web", w.now));
  for (int i = 0; i < 3; ++i) CHECK_FALSE(w.feed("web", "web").found);
  CHECK(w.feed("web", "web").found);
}

TEST_CASE("Services that feed each other in a circle are a loop, each of them") {
  Watched w;
  Found found;
  int rounds = 0;
  for (; !found && rounds < 20; ++rounds) {
    for (auto [from, to] : {std::pair("a", "b"), std::pair("b", "c"), std::pair("c", "a")}) {
      if (!found) found = w.feed(from, to).found;
    }
  }
  REQUIRE(found);
  CHECK(*found == "c -> a -> b -> c");
  CHECK(rounds == 4);
  for (const char* each : {"a", "b", "c"}) CHECK(w.watch.refuses(each, w.now));
}

TEST_CASE("A chain of services that ends is none") {
  Watched w;
  for (int i = 0; i < 200; ++i) {
    CHECK_FALSE(w.feed("a", "b").found);
    CHECK_FALSE(w.feed("b", "c").found);
    CHECK_FALSE(w.reach("c").feeds);
  }
  for (const char* each : {"a", "b", "c"}) CHECK_FALSE(w.watch.refuses(each, w.now));
}

TEST_CASE("A service that leads into a loop, and is not of it, is not refused") {
  Watched w;
  for (int i = 0; i < 20; ++i) {
    Answer answer = w.feed("entry", "web");
    CHECK_FALSE(answer.found);
    if (w.watch.refuses("web", w.now)) break;
    w.feed("web", "web");
  }
  CHECK(w.watch.refuses("web", w.now));
  CHECK_FALSE(w.watch.refuses("entry", w.now));
}

TEST_CASE("As many that go elsewhere as come back are no loop") {
  Watched w;
  for (int i = 0; i < 100; ++i) {
    CHECK_FALSE(w.feed("web", "web").found);
    CHECK_FALSE(w.reach("web").feeds);
  }
  // Nor two thirds.
  for (int i = 0; i < 100; ++i) {
    CHECK_FALSE(w.reach("db").feeds);
    CHECK_FALSE(w.feed("db", "db").found);
    CHECK_FALSE(w.feed("db", "db").found);
  }
}

TEST_CASE("What was seen long ago does not count") {
  Watched w;
  for (int i = 0; i < 30; ++i) {
    CHECK_FALSE(w.feed("web", "web").found);
    w.pass(seconds(30));
  }
}

TEST_CASE("A mark fits no connection that was there before the stream, as its own application's") {
  Watched w;
  for (int i = 0; i < 50; ++i) {
    std::uint64_t mark = ++w.marks;
    w.watch.accepted("db", {mark, true}, w.now);
    Answer answer = w.watch.connected("db", mark, w.now, w.now + milliseconds(1));  // at once
    CHECK_FALSE(answer.feeds);
    w.pass();
    CHECK_FALSE(w.watch.connected("db", mark, w.now, w.now).feeds);
    w.pass();
  }
  CHECK_FALSE(w.watch.refuses("db", w.now));
}

TEST_CASE("A connection that was taken long before the mark came is another one") {
  Watched w;
  for (int i = 0; i < 50; ++i) {
    Time opened = w.now;
    w.pass();
    std::uint64_t mark = ++w.marks;
    w.watch.accepted("db", {mark, true}, w.now);
    w.pass(LoopWatch::kNoted + milliseconds(1));
    CHECK_FALSE(w.watch.connected("db", mark, opened, w.now).feeds);
  }
  Time opened = w.now;
  w.pass();
  w.watch.accepted("db", {++w.marks, true}, w.now);
  w.pass(LoopWatch::kNoted);
  CHECK(w.watch.connected("db", w.marks, opened, w.now).feeds);
}

TEST_CASE("A mark may come before its connection is taken, but not long before") {
  Watched w;
  auto late_by = [&](Duration duration) {
    Time opened = w.now;
    w.pass();
    std::uint64_t mark = ++w.marks;
    CHECK_FALSE(w.watch.connected("web", mark, opened, w.now).feeds);
    w.pass(duration);
    return w.watch.accepted("web", {mark, true}, w.now);
  };
  for (int i = 0; i < 50; ++i) CHECK_FALSE(late_by(LoopWatch::kLate + milliseconds(1)));
  w.pass(LoopWatch::kMemory);
  for (int i = 0; i < 3; ++i) CHECK_FALSE(late_by(LoopWatch::kLate));
  Found found = late_by(LoopWatch::kLate);
  REQUIRE(found);
  CHECK(*found == "web -> web");
}

TEST_CASE("A connection that is offered again came when it came first") {
  Watched w;
  std::uint64_t mark = ++w.marks;
  w.watch.accepted("web", {mark, true}, w.now);
  w.pass(seconds(1));
  Time opened = w.now;
  w.pass();
  w.watch.accepted("web", {mark, true}, w.now);
  w.pass();
  CHECK_FALSE(w.watch.connected("web", mark, opened, w.now).feeds);
}

TEST_CASE("Two networks with the same addresses: connections that agree by chance are no loop") {
  // Both count their ports upwards by small random steps, as Linux does, and begin close together:
  // much less likely than anything that happens by itself. An application keeps `at_once` open.
  std::mt19937 random(7);
  auto step = [&] { return 2 + 2 * (random() % 8); };
  for (std::uint64_t distance : {0, 20, 60, 200}) {
    for (int at_once : {1, 2, 4, 6}) {
      Watched w;
      std::uint64_t applications = 32768 + distance;
      std::uint64_t targets = 32768;
      for (int i = 0; i < 2000; i += at_once) {
        Time opened = w.now;
        for (int each = 0; each < at_once; ++each) {
          w.pass(milliseconds(1));
          w.watch.accepted("db", {applications += step(), false}, w.now);
        }
        w.pass(milliseconds(5));
        for (int each = 0; each < at_once; ++each) {
          CHECK_FALSE(w.watch.connected("db", targets += step(), opened, w.now).loop);
        }
      }
    }
  }
}

TEST_CASE("No mark is none") {
  Watched w;
  for (int i = 0; i < 20; ++i) CHECK_FALSE(w.watch.accepted("web", {}, w.now));
  CHECK_FALSE(w.watch.refuses("web", w.now));
}

}  // namespace
}  // namespace holdfast
