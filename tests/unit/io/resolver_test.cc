// Names: what a look-up's end means for those who asked, and what is known meanwhile.
#include "common/io/resolver.h"

#include <algorithm>
#include <thread>

#include "tests/unit/names.h"

namespace holdfast {
TEST_CASE("A name that nobody answers holds up no other") {
  Names names;
  auto dead = names.ask("dead");
  auto good = names.ask("good");
  REQUIRE(names.started.size() == 2);
  names.answer(1, found("127.0.0.1"));
  CHECK(names.told == std::vector<std::string>{"127.0.0.1:80"});
}

TEST_CASE("Who asks for the same name at the same time gets the same answer with its own port") {
  Names names;
  auto one = names.ask("db", 1);
  auto two = names.ask("db", 2);
  { auto gone = names.ask("db", 3); }
  REQUIRE(names.started.size() == 1);
  names.answer(0, found("10.0.0.1"));
  std::sort(names.told.begin(), names.told.end());
  CHECK(names.told == std::vector<std::string>{"10.0.0.1:1", "10.0.0.1:2"});
}

TEST_CASE("The last good answer stays known when a later look-up fails") {
  Names names;
  CHECK_FALSE(names.resolver.known({"db", 5432}));
  auto one = names.ask("db");
  CHECK_FALSE(names.resolver.known({"db", 5432}));
  names.answer(0, found("10.0.0.1"));
  auto known = names.resolver.known({"db", 5432});
  REQUIRE(known);
  CHECK(known->addresses == std::vector<SocketAddress>{at("10.0.0.1", 5432)});
  CHECK_FALSE(known->doubtful);
  auto two = names.ask("db");
  names.answer(1, Error{"db: no answer"});
  CHECK(names.told.back() == "db: no answer");
  known = names.resolver.known({"db", 5432});
  REQUIRE(known);
  CHECK(known->addresses == std::vector<SocketAddress>{at("10.0.0.1", 5432)});
  CHECK(known->doubtful);
}

TEST_CASE("A look-up that hangs gets others beside it and the first that is over counts") {
  Names names;
  auto one = names.ask("hub");
  names.pass(milliseconds(2100));
  REQUIRE(names.started.size() == 2);  // it reads resolv.conf as it is now
  names.answer(1, found("10.0.0.2"));
  CHECK(names.told == std::vector<std::string>{"10.0.0.2:80"});
  names.answer(0, found("10.0.0.1"));  // what an older one says is older
  CHECK(names.resolver.known({"hub", 80})->addresses ==
        std::vector<SocketAddress>{at("10.0.0.2", 80)});
}

TEST_CASE("A failure waits for a younger look-up that may know better") {
  Names names;
  auto one = names.ask("hub");
  names.pass(milliseconds(2100));
  REQUIRE(names.started.size() == 2);
  names.answer(0, Error{"hub: no answer"});
  CHECK(names.told.empty());
  names.answer(1, found("10.0.0.2"));
  CHECK(names.told == std::vector<std::string>{"10.0.0.2:80"});
}

TEST_CASE("A failure is told when the younger look-up hangs, too") {
  Names names;
  auto one = names.ask("hub");
  names.pass(milliseconds(2100));
  REQUIRE(names.started.size() == 2);
  names.answer(0, Error{"hub: no answer"});
  names.pass(milliseconds(2100));
  CHECK(names.told == std::vector<std::string>{"hub: no answer"});
}

TEST_CASE("Many names that hang leave room for one that does not") {
  Names names;
  std::vector<std::unique_ptr<Resolver::Question>> questions;
  for (int i = 0; i < 200; ++i) questions.push_back(names.ask("dead" + std::to_string(i)));
  std::size_t at_most = names.started.size();
  CHECK(at_most == 128);
  names.pass(milliseconds(2100));
  CHECK(names.started.size() == at_most);
  // A name server's patience is over; those that have hung leave a quarter free.
  for (std::size_t i = 0; i < at_most; ++i) names.answer(i, Error{"no answer"});
  questions.clear();
  for (int i = 0; i < 200; ++i) questions.push_back(names.ask("dead" + std::to_string(i)));
  std::size_t before = names.started.size();
  auto good = names.ask("good");
  REQUIRE(names.started.size() == before + 1);
  CHECK(names.started.back().second == "good");
}

TEST_CASE("A callback may ask again and destroy other questions") {
  Names names;
  std::unique_ptr<Resolver::Question> again;
  std::unique_ptr<Resolver::Question> other;
  Resolver::Question one(names.resolver, {"db", 1}, [&](const Resolver::Answer&) {
    other.reset();
    again = names.ask("db");
  });
  other = names.ask("db");
  names.answer(0, Error{"no"});
  names.answer(1, found("10.0.0.9"));
  CHECK(names.told.back() == "10.0.0.9:80");
}

TEST_CASE("The address that connected comes first in later answers") {
  Names names;
  auto one = names.ask("db", 5);
  std::vector<SocketAddress> both{at("10.0.0.1"), at("10.0.0.2")};
  names.answer(0, both);
  names.resolver.prefer({"db", 5}, at("10.0.0.2", 5));
  CHECK(names.resolver.known({"db", 5})->addresses ==
        std::vector<SocketAddress>{at("10.0.0.2", 5), at("10.0.0.1", 5)});
  CHECK(names.resolver.known({"db", 6})->addresses ==
        std::vector<SocketAddress>{at("10.0.0.1", 6), at("10.0.0.2", 6)});
  auto two = names.ask("db", 5);
  names.answer(1, both);
  CHECK(names.told.back() == "10.0.0.2:5");
}

TEST_CASE("The system's resolver is asked on other threads") {
  Loop loop;
  Resolver resolver(loop);
  std::vector<std::uint16_t> ports;
  auto take = [&](const Resolver::Answer& answer) {
    REQUIRE(answer.ok());
    ports.push_back(answer->front().endpoint().port);
  };
  Resolver::Question one(resolver, {"localhost", 1}, take);
  Resolver::Question two(resolver, {"localhost", 2}, take);
  turn_until(loop, [&] { return ports.size() == 2; });
  std::sort(ports.begin(), ports.end());
  CHECK(ports == std::vector<std::uint16_t>{1, 2});
}

TEST_CASE("A resolver may go while its look-ups run") {
  Loop loop;
  for (int i = 0; i < 50; ++i) {
    Resolver resolver(loop);
    Resolver::Question one(resolver, {"localhost", 1}, [](const Resolver::Answer&) {});
    if (i % 2 == 0) std::this_thread::sleep_for(std::chrono::microseconds(20 * i));
  }
  for (int i = 0; i < 500 && ThreadLookups::any_running(); ++i) pass(loop, milliseconds(10));
  CHECK_FALSE(ThreadLookups::any_running());
}

}  // namespace holdfast
