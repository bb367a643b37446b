#include "common/core/link_registry.h"

#include "tests/catch.h"

namespace holdfast {
namespace {

using Registry = LinkRegistry;

Time at_ms(std::int64_t ms) {
  return Time(milliseconds(ms));
}

LinkId link_id(std::uint8_t n) {
  LinkId id;
  id.bytes[15] = n;
  return id;
}

// A registry with one client "edge", and greetings in short form.
struct Bench {
  MemoryPool pool{16 * kMiB, 100};
  Registry registry{options(), pool, 1};
  std::uint64_t carriers = 0;

  static RegistryOptions options() {
    RegistryOptions options;
    options.server_name = "gate";
    options.link.heartbeat = seconds(1);
    return options;
  }
  static ClientPolicy policy(const std::string& name = "edge") {
    ClientPolicy policy;
    policy.name = name;
    policy.services = {{"echo", seconds(300)}};
    policy.max_links = 3;
    return policy;
  }
  struct Greeting {
    std::uint8_t link = 1;
    std::uint64_t instance = 0;
    std::uint64_t attempt = 1;
    std::uint64_t start_id = 7;
    std::uint64_t ordinal = 1;
    std::uint32_t slot = 0;
    std::string name = "edge";
    std::uint16_t version_min = 1, version_max = 1;
  };
  Registry::Decision hello(Time now, const Greeting& greeting, const ClientPolicy& client) {
    HelloRequest request;
    request.hello.link = link_id(greeting.link);
    request.hello.instance = greeting.instance;
    request.hello.attempt = greeting.attempt;
    request.hello.start_id = greeting.start_id;
    request.hello.ordinal = greeting.ordinal;
    request.hello.slot = greeting.slot;
    request.hello.name = greeting.name;
    request.hello.version_min = greeting.version_min;
    request.hello.version_max = greeting.version_max;
    carriers += 1;
    return registry.hello(now, CarrierId{carriers}, client, request);
  }
  Registry::Decision hello(Time now, const Greeting& greeting) {
    return hello(now, greeting, policy(greeting.name));
  }
  std::uint64_t instance(std::uint8_t link) { return registry.find(link_id(link))->instance(); }
  void lose_carrier(Time now, std::uint8_t link) {
    Link* lost = registry.find(link_id(link));
    lost->carrier_down(now, lost->carrier(), Cause::carrier_reset);
  }
};

std::string name_of(const Registry::Decision& decision) {
  if (auto* accepted = std::get_if<Registry::Accepted>(&decision)) {
    return accepted->created ? "created" : "resumed";
  }
  if (auto* refused = std::get_if<Registry::Refused>(&decision)) {
    return "refused " + std::string(to_string(refused->cause));
  }
  if (auto* unknown = std::get_if<Registry::Unknown>(&decision)) {
    return unknown->why == Cause::none ? "unknown"
                                       : "unknown " + std::string(to_string(unknown->why));
  }
  if (std::holds_alternative<Registry::Stale>(decision)) return "stale";
  return "waiting";
}

}  // namespace

TEST_CASE("what a greeting does to a link that stands, at attempt 5 of process 7") {
  struct Row {
    const char* name;
    Bench::Greeting greeting;  // its instance: 1 stands for the link's own, 2 for another
    const char* decision;
    bool displaced;
  };
  const Row rows[] = {
      {"a later attempt", {1, 1, 6}, "resumed", true},
      {"the same attempt", {1, 1, 5}, "stale", false},
      {"an earlier attempt", {1, 1, 4}, "stale", false},
      {"a later first greeting", {1, 0, 6}, "resumed", true},
      {"an overtaken first greeting", {1, 0, 1}, "stale", false},
      {"another instance", {1, 2, 6}, "unknown", false},
      {"another link with an instance", {9, 1, 6}, "unknown", false},
      {"a new link of the same process replaces it", {2, 0, 1, 7, 2}, "created", true},
      {"an older link of the same process came late", {2, 0, 1, 7, 1}, "stale", false},
      {"another process on the same slot", {2, 0, 1, 8, 1}, "waiting", false},
      {"another process on another slot", {2, 0, 1, 8, 1, 1}, "created", false},
      {"another client's link id", {1, 1, 6, 7, 1, 0, "mallory"}, "refused auth", false},
      {"another client's link id, as if new", {1, 0, 6, 7, 1, 0, "mallory"}, "refused auth", false},
      {"a version that is too new", {1, 1, 6, 7, 1, 0, "edge", 2, 3}, "refused version", false},
      {"a version that is too old", {1, 1, 6, 7, 1, 0, "edge", 0, 0}, "refused version", false},
      {"versions around ours", {1, 1, 6, 7, 1, 0, "edge", 0, 9}, "resumed", true},
  };
  for (const Row& row : rows) {
    INFO(row.name);
    Bench bench;
    REQUIRE(name_of(bench.hello(at_ms(0), {1, 0, 5})) == "created");
    CarrierId before = bench.registry.find(link_id(1))->carrier();
    Bench::Greeting greeting = row.greeting;
    if (greeting.instance == 1) greeting.instance = bench.instance(1);
    CHECK(name_of(bench.hello(at_ms(10), greeting)) == row.decision);
    Link* link = bench.registry.find(link_id(1));
    bool displaced = link->ended() || link->carrier() != before;
    CHECK(displaced == row.displaced);
  }
}

TEST_CASE("a client whose table was not kept whole is not asked to come again: its link is over") {
  Bench bench;
  CHECK(name_of(bench.hello(at_ms(0), {})) == "created");
  HelloRequest request;
  request.hello.link = link_id(1);
  request.hello.instance = bench.instance(1);
  request.hello.attempt = 2;
  request.hello.name = "edge";
  request.hello.version_min = request.hello.version_max = 1;
  request.cut_short = true;
  auto decision = bench.registry.hello(at_ms(1), CarrierId{9}, Bench::policy(), request);
  CHECK(name_of(decision) == "unknown");
  CHECK(bench.registry.find(link_id(1))->ended());
}

TEST_CASE("a name that is not the authenticated one is refused before anything is touched") {
  Bench bench;
  Bench::Greeting greeting;
  greeting.name = "edge";
  CHECK(name_of(bench.hello(at_ms(0), greeting, Bench::policy("other"))) == "refused auth");
  CHECK(bench.registry.size() == 0);
}

TEST_CASE("a link is known by its client and slot") {
  Bench bench;
  bench.hello(at_ms(0), {1, 0, 1, 7, 1, 4});
  bench.hello(at_ms(0), {2, 0, 1, 8, 1, 0, "other"});
  CHECK(bench.registry.client_of(link_id(1)) == "edge");
  CHECK(bench.registry.slot_of(link_id(1)) == 4);
  CHECK(bench.registry.client_of(link_id(2)) == "other");
  CHECK(bench.registry.slot_of(link_id(2)) == 0);
}

TEST_CASE("a nonzero instance never creates a link") {
  Bench bench;
  CHECK(name_of(bench.hello(at_ms(0), {1, 1234, 1})) == "unknown");
  CHECK(bench.registry.size() == 0);
}

TEST_CASE("instances are random and never zero") {
  Bench bench;
  bench.hello(at_ms(0), {1, 0, 1, 7, 1, 0});
  bench.hello(at_ms(0), {2, 0, 1, 7, 1, 1});
  CHECK(bench.instance(1) != 0);
  CHECK(bench.instance(1) != bench.instance(2));
}

TEST_CASE("another process takes a detached link's place at once") {
  Bench bench;
  bench.hello(at_ms(0), {1, 0, 1, 7});
  bench.lose_carrier(at_ms(10), 1);
  CHECK(name_of(bench.hello(at_ms(20), {2, 0, 1, 8})) == "created");
  Link* old = bench.registry.find(link_id(1));
  CHECK(old->ended());
  Cause cause{};
  while (auto effect = old->poll_effect(at_ms(20))) {
    if (auto* ended = std::get_if<effect::LinkEnded>(&*effect)) cause = ended->cause;
  }
  CHECK(cause == Cause::client_restarted);
  auto touched = bench.registry.take_touched();
  CHECK(std::find(touched.begin(), touched.end(), old) != touched.end());
}

TEST_CASE("a living link with the same name is asked, and its answer refuses the newcomer") {
  for (int quiet_ms : {10, 300, 900}) {
    INFO("quiet for " << quiet_ms << " ms");
    Bench bench;
    bench.hello(at_ms(0), {1, 0, 1, 7});
    Link* link = bench.registry.find(link_id(1));
    Time asked = at_ms(quiet_ms);
    REQUIRE(name_of(bench.hello(asked, {2, 0, 1, 8})) == "waiting");
    link->timeout(asked);
    auto gather = link->poll_transmit(asked, 65536);
    REQUIRE(gather);
    CHECK(bench.registry.poll(asked).empty());
    link->written(asked, gather->bytes);
    std::uint8_t pong[kMaxSmallFrame];
    Bytes answer(pong, encode_pong(pong, 1));
    link->carrier_bytes(asked + milliseconds(30), link->carrier(), answer);
    auto decisions = bench.registry.poll(asked + milliseconds(30));
    REQUIRE(decisions.size() == 1);
    CHECK(decisions[0].first == CarrierId{2});
    CHECK(name_of(decisions[0].second) == "refused duplicate_name");
    CHECK(link->live());
  }
}

TEST_CASE("a link that does not answer gives its place to the newcomer") {
  for (int quiet_ms : {0, 10, 300, 900, 5000}) {
    INFO("quiet for " << quiet_ms << " ms");
    Bench bench;
    bench.hello(at_ms(0), {1, 0, 1, 7});
    Link* link = bench.registry.find(link_id(1));
    Time now = at_ms(quiet_ms);
    REQUIRE(name_of(bench.hello(now, {2, 0, 1, 8})) == "waiting");
    Time give_up = bench.registry.next_timeout();
    CHECK(give_up <= now + milliseconds(600));
    // The driver's timer fires a little after its time.
    link->timeout(now + milliseconds(1));
    CHECK(bench.registry.poll(give_up - Duration(1)).empty());
    auto decisions = bench.registry.poll(give_up);
    REQUIRE(decisions.size() == 1);
    CHECK(name_of(decisions[0].second) == "created");
    CHECK(link->ended());
    CHECK(bench.registry.next_timeout() == kNever);
  }
}

TEST_CASE("a process that is gone on one slot is gone on all: its links without a carrier end") {
  Bench bench;
  for (std::uint8_t n = 1; n <= 3; ++n) bench.hello(at_ms(0), {.link = n, .slot = n});
  bench.hello(at_ms(0), {.link = 4, .slot = 1, .name = "other"});
  for (std::uint8_t n = 1; n <= 2; ++n) bench.lose_carrier(at_ms(10), n);
  bench.lose_carrier(at_ms(10), 4);
  CHECK(name_of(bench.hello(at_ms(20), {.link = 11, .start_id = 8, .slot = 1})) == "created");
  for (std::uint8_t n = 1; n <= 2; ++n) CHECK(bench.registry.find(link_id(n))->ended());
  CHECK_FALSE(bench.registry.find(link_id(3))->ended());  // it has a carrier, and is asked
  CHECK_FALSE(bench.registry.find(link_id(4))->ended());  // another client's
  std::pair<std::string, std::uint64_t> process{"edge", 7};
  CHECK(bench.registry.take_gone() == std::vector{process});
  CHECK(bench.registry.take_gone().empty());
}

TEST_CASE("a new process in one lane's slot finds the lanes of an old one in the others") {
  struct Row {
    const char* what;
    std::uint32_t old_slot;
    bool detached, ends;
  };
  const Row rows[] = {
      {"another lane of the link, without a carrier", 3, true, true},
      {"another lane, that may answer", 3, false, false},
      {"another link of the client", kLanesOfALink, true, false},
  };
  for (const Row& row : rows) {
    INFO(row.what);
    Bench bench;
    bench.hello(at_ms(0), {1, 0, 1, 7, 1, row.old_slot});
    if (row.detached) bench.lose_carrier(at_ms(1), 1);
    CHECK(name_of(bench.hello(at_ms(2), {2, 0, 1, 8, 1, 0})) == "created");
    CHECK(bench.registry.find(link_id(1))->ended() == row.ends);
  }
}

TEST_CASE("of a process that seems gone, a link that answers stays and one that does not ends") {
  for (bool answers : {true, false}) {
    Bench bench;
    for (std::uint8_t n = 1; n <= 2; ++n) bench.hello(at_ms(0), {.link = n, .slot = n});
    bench.lose_carrier(at_ms(10), 1);
    bench.hello(at_ms(20), {.link = 11, .start_id = 8, .slot = 1});
    Link* link = bench.registry.find(link_id(2));
    if (answers) {
      std::uint8_t pong[kMaxSmallFrame];
      link->carrier_bytes(at_ms(30), link->carrier(), Bytes(pong, encode_pong(pong, 1)));
    }
    Time due = bench.registry.next_timeout();
    CHECK(due != kNever);
    bench.registry.poll(due);
    CHECK(link->ended() == !answers);
    CHECK(bench.registry.next_timeout() == kNever);
  }
}

TEST_CASE("the last bytes of a process that is gone, with its end behind them, are no answer") {
  Bench bench;
  for (std::uint8_t n = 1; n <= 2; ++n) bench.hello(at_ms(0), {.link = n, .slot = n});
  bench.lose_carrier(at_ms(10), 1);
  bench.hello(at_ms(20), {.link = 11, .start_id = 8, .slot = 1});
  Link* link = bench.registry.find(link_id(2));
  std::uint8_t late[kMaxSmallFrame];
  link->carrier_bytes(at_ms(30), link->carrier(), Bytes(late, encode_pong(late, 1)));
  bench.registry.poll(at_ms(30));
  bench.lose_carrier(at_ms(40), 2);
  bench.registry.poll(bench.registry.next_timeout());
  CHECK(link->ended());
}

TEST_CASE("a waiting newcomer that hangs up is forgotten") {
  Bench bench;
  bench.hello(at_ms(0), {1, 0, 1, 7});
  REQUIRE(name_of(bench.hello(at_ms(10), {2, 0, 1, 8})) == "waiting");
  bench.registry.carrier_gone(CarrierId{2});
  CHECK(bench.registry.poll(at_ms(5000)).empty());
  CHECK(bench.registry.find(link_id(1))->live());
  CHECK(bench.registry.size() == 1);
}

TEST_CASE("a reload decides about who waits as about who comes now") {
  for (bool known : {true, false}) {
    INFO("known " << known);
    Bench bench;
    bench.hello(at_ms(0), {1, 0, 1, 7});
    REQUIRE(name_of(bench.hello(at_ms(10), {2, 0, 1, 8})) == "waiting");
    ClientPolicy changed = Bench::policy();
    changed.services = {{"other", seconds(300)}};
    bench.registry.reconfigure(Bench::options(), [&](const std::string& name) {
      CHECK(name == "edge");
      return known ? &changed : nullptr;
    });
    auto decisions = bench.registry.poll(at_ms(5000));
    REQUIRE(decisions.size() == (known ? 1 : 0));
    if (!known) continue;
    CHECK(name_of(decisions[0].second) == "created");
    CHECK(bench.registry.find(link_id(2))->find_service("other"));
  }
}

TEST_CASE("the old link's carrier falls while the newcomer waits") {
  Bench bench;
  bench.hello(at_ms(0), {1, 0, 1, 7});
  REQUIRE(name_of(bench.hello(at_ms(10), {2, 0, 1, 8})) == "waiting");
  bench.lose_carrier(at_ms(20), 1);
  auto decisions = bench.registry.poll(at_ms(20));
  REQUIRE(decisions.size() == 1);
  CHECK(name_of(decisions[0].second) == "created");
}

TEST_CASE("a client has only so many links") {
  Bench bench;
  for (std::uint8_t i = 1; i <= 3; ++i) {
    CHECK(name_of(bench.hello(at_ms(0), {i, 0, 1, 7, 1, i * 16U})) == "created");
  }
  CHECK(name_of(bench.hello(at_ms(0), {4, 0, 1, 7, 1, 64})) == "refused limit");
  // Another client has its own.
  CHECK(name_of(bench.hello(at_ms(0), {5, 0, 1, 7, 1, 0, "other"})) == "created");
}

TEST_CASE("the lanes of a link are one of a client's links") {
  Bench bench;
  for (std::uint8_t lane = 0; lane < 16; ++lane) {
    CHECK(name_of(bench.hello(at_ms(0), {std::uint8_t(lane + 1), 0, 1, 7, 1, lane})) == "created");
  }
  for (std::uint8_t i = 1; i <= 2; ++i) {
    CHECK(name_of(bench.hello(at_ms(0), {std::uint8_t(i + 20), 0, 1, 7, 1, i * 16U + 3})) ==
          "created");
  }
  CHECK(name_of(bench.hello(at_ms(0), {30, 0, 1, 7, 1, 48})) == "refused limit");
  // A lane of one that is there.
  CHECK(name_of(bench.hello(at_ms(0), {31, 0, 1, 7, 1, 16})) == "created");
  // The last lane of a link makes room for another link.
  for (int link : {21, 31}) {
    bench.registry.find(link_id(static_cast<std::uint8_t>(link)))->end(at_ms(1), Cause::goodbye);
  }
  CHECK(name_of(bench.hello(at_ms(2), {30, 0, 1, 7, 1, 48})) == "created");
}

TEST_CASE("a quota that registries share counts the links of all, until each is over") {
  struct Quota final : public LinkQuota {
    std::uint32_t links = 0;
    bool take(const std::string&, std::uint32_t, std::uint32_t most) override {
      if (links >= most) return false;
      links += 1;
      return true;
    }
    void give_back(const std::string&, std::uint32_t) override { links -= 1; }
  };
  Quota quota;
  MemoryPool pool{16 * kMiB, 100};
  Registry one{Bench::options(), pool, 1, &quota};
  Registry other{Bench::options(), pool, 2, &quota};
  auto hello = [&](Registry& registry, std::uint8_t link) {
    HelloRequest request;
    request.hello.link = link_id(link);
    request.hello.attempt = 1;
    request.hello.slot = link;
    request.hello.start_id = 7;
    request.hello.ordinal = 1;
    request.hello.name = "edge";
    return name_of(registry.hello(at_ms(0), CarrierId{link}, Bench::policy(), std::move(request)));
  };
  CHECK(hello(one, 1) == "created");
  CHECK(hello(other, 2) == "created");
  CHECK(hello(one, 3) == "created");
  CHECK(hello(other, 4) == "refused limit");
  CHECK(quota.links == 3);
  // Ended, and not removed yet: it counts no more.
  one.find(link_id(3))->end(at_ms(0), Cause::goodbye);
  CHECK(hello(one, 5) == "created");
  CHECK(quota.links == 3);
  one.remove(link_id(3));
  CHECK(quota.links == 3);
  other.find(link_id(2))->end(at_ms(0), Cause::goodbye);
  other.remove(link_id(2));
  CHECK(quota.links == 2);
}

TEST_CASE("an ended link is forgotten on request and its id says unknown") {
  Bench bench;
  bench.hello(at_ms(0), {1, 0, 1});
  std::uint64_t instance = bench.instance(1);
  bench.registry.find(link_id(1))->end(at_ms(5), Cause::admin_kill);
  CHECK(name_of(bench.hello(at_ms(6), {1, instance, 2})) == "unknown");
  bench.registry.remove(link_id(1));
  CHECK(bench.registry.size() == 0);
  CHECK(name_of(bench.hello(at_ms(7), {1, instance, 3})) == "unknown");
}

TEST_CASE("who comes back to a link that ended is told how, where that says more") {
  struct Row {
    Cause ended;
    const char* told;
  };
  const Row rows[] = {
      {Cause::grace_expired, "unknown grace_expired"},
      {Cause::client_restarted, "unknown client_restarted"},
      {Cause::admin_kill, "unknown"},
      {Cause::goodbye, "unknown"},
  };
  for (const Row& row : rows) {
    INFO(row.told);
    Bench bench;
    bench.hello(at_ms(0), {1, 0, 1});
    std::uint64_t instance = bench.instance(1);
    bench.registry.find(link_id(1))->end(at_ms(5), row.ended);
    CHECK(name_of(bench.hello(at_ms(6), {1, instance, 2})) == row.told);
    bench.registry.remove(link_id(1));
    CHECK(name_of(bench.hello(at_ms(7), {1, instance, 3})) == row.told);
    // It is nobody else's business.
    Bench::Greeting other{1, instance, 4};
    other.name = "edge-2";
    CHECK(name_of(bench.hello(at_ms(8), other)) == "unknown");
  }
}

TEST_CASE("of thousands of links that ended only the last ones are remembered") {
  Bench bench;
  std::uint64_t first = 0;
  for (int i = 0; i < 1026; ++i) {
    auto number = static_cast<std::uint8_t>(i == 0 ? 1 : i == 1025 ? 3 : 2);
    bench.hello(at_ms(i), {number, 0, 1, 7, static_cast<std::uint64_t>(i) + 1});
    if (i == 0) first = bench.instance(1);
    bench.registry.find(link_id(number))->end(at_ms(i), Cause::grace_expired);
    bench.registry.remove(link_id(number));
  }
  CHECK(name_of(bench.hello(at_ms(2000), {1, first, 2})) == "unknown");
  CHECK(name_of(bench.hello(at_ms(2000), {3, first, 2})) == "unknown grace_expired");
}

TEST_CASE("a draining server refuses new links and resumes old ones") {
  Bench bench;
  bench.hello(at_ms(0), {1, 0, 1});
  bench.registry.drain(at_ms(1));
  CHECK(name_of(bench.hello(at_ms(2), {2, 0, 1, 8, 1, 1})) == "refused draining");
  CHECK(name_of(bench.hello(at_ms(2), {1, bench.instance(1), 2})) == "resumed");
}

TEST_CASE("a link that is saying goodbye is not revived by a later greeting") {
  Bench bench;
  bench.hello(at_ms(0), {1, 0, 1});
  Link* link = bench.registry.find(link_id(1));
  link->poll_transmit(at_ms(0), 65536);
  link->goodbye(at_ms(1), Cause::shutdown);
  CHECK(name_of(bench.hello(at_ms(2), {1, bench.instance(1), 2})) == "unknown");
  CHECK(link->ended());
}

TEST_CASE("the answers that are no link carry the server's name") {
  Bench bench;
  Buffer unknown = bench.registry.welcome_unknown({Cause::grace_expired});
  auto first = decode_welcome(Bytes(unknown).subspan(kFrameHeaderSize));
  REQUIRE(first.ok());
  CHECK(first->verdict == Verdict::unknown);
  CHECK(first->code == Cause::grace_expired);
  CHECK(first->server == "gate");
  Buffer refused = bench.registry.welcome_refused({Cause::limit, seconds(5)});
  auto second = decode_welcome(Bytes(refused).subspan(kFrameHeaderSize));
  REQUIRE(second.ok());
  CHECK(second->code == Cause::limit);
  CHECK(second->retry_after == seconds(5));
}

}  // namespace holdfast
