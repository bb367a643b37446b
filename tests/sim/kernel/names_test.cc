// Look-ups of the simulated world, by the agents' own Resolver.
#include "tests/sim/kernel/names.h"

#include "common/io/resolver.h"
#include "tests/sim/kernel/test_support.h"

namespace holdfast::sim {
namespace {

constexpr std::uint32_t kHost = 0x0a000005;

// A process whose loop looks a name up.
struct Asking {
  Asking() {
    process.at_turn = [this] { return loop->turn(); };
    process.in([this] {
      loop = std::make_unique<Loop>();
      resolver = std::make_unique<Resolver>(*loop);
      return loop->begin(task);
    });
  }
  ~Asking() {
    process.die();
    process.in([this] {
      question.reset();
      resolver.reset();
      loop.reset();
      return 0;
    });
  }
  void ask(const std::string& name) {
    answer.clear();
    process.in([&] {
      question = std::make_unique<Resolver::Question>(
          *resolver, HostPort{name, 80}, [this](const Resolver::Answer& came) {
            answer = came.ok() ? came->front().to_string() : came.error().message;
          });
      return 0;
    });
    process.wake();
  }
  struct Task final : Loop::Task {
    bool end_of_turn() override { return false; }
  };

  OnePath net;
  Task task;
  TestProcess process{net.kernel, 0x0a000101};
  std::unique_ptr<Loop> loop;
  std::unique_ptr<Resolver> resolver;
  std::unique_ptr<Resolver::Question> question;
  std::string answer;
};

}  // namespace

TEST_CASE("A name is found after a while, and one that nobody has is not") {
  Asking asking;
  asking.net.kernel.names().set("home", {kHost});
  asking.net.kernel.names().set_delay(milliseconds(100));
  asking.ask("home");
  asking.net.run(milliseconds(50));
  CHECK(asking.answer.empty());
  asking.net.run(milliseconds(100));
  CHECK(asking.answer == "10.0.0.5:80");
  asking.ask("nowhere");
  asking.net.run(seconds(1));
  CHECK(asking.answer.find("nowhere") == 0);
}

TEST_CASE(
    "A name server that is silent costs the resolver's patience, then the next question works") {
  Asking asking;
  Names& names = asking.net.kernel.names();
  names.set("home", {kHost});
  names.hang_until(Time(seconds(15)));
  asking.ask("home");
  asking.net.run(seconds(9));
  CHECK(asking.answer.empty());
  asking.net.run(seconds(2));
  CHECK(asking.answer.find("home") == 0);
  asking.net.run(seconds(5));
  asking.ask("home");
  asking.net.run(seconds(1));
  CHECK(asking.answer == "10.0.0.5:80");
}

TEST_CASE("A process that dies while it asks leaves nothing behind") {
  Asking asking;
  asking.net.kernel.names().hang_until(kNever);
  asking.ask("home");
  asking.net.run(seconds(1));
  CHECK(asking.net.kernel.names().asked() == 1);
}

}  // namespace holdfast::sim
