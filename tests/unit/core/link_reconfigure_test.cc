// What a reload changes of a link that lives: at once, from the next carrier on, or never.
#include "tests/catch.h"
#include "tests/unit/core/link_pair.h"

namespace holdfast::test {
namespace {

// The server's options with other services.
LinkOptions with_services(const LinkPair& pair, std::vector<LinkService> services) {
  LinkOptions options = pair.server.link->options();
  options.services = std::move(services);
  return options;
}

TEST_CASE("A service that a reload takes away refuses new streams and keeps the live one") {
  LinkPair pair;
  std::uint64_t live = pair.open();
  pair.settle();
  pair.server.link->reconfigure(with_services(pair, {{"short", seconds(10)}}));
  std::uint64_t late = pair.open();
  pair.client.write(live, "still here");
  pair.run_for(milliseconds(100));
  CHECK(pair.client.app(late).reset == Cause::unknown_service);
  CHECK(pair.server.app(live).received == "still here");
  CHECK_FALSE(pair.client.app(live).reset);
}

TEST_CASE("A service that is taken away and given back is served again, also across a cut") {
  LinkPair pair;
  pair.settle();
  pair.server.link->reconfigure(with_services(pair, {}));
  pair.server.link->reconfigure(
      with_services(pair, {{"short", seconds(10)}, {"echo", seconds(300)}}));
  std::uint64_t stream = pair.open();
  pair.settle();
  pair.cut();
  pair.client.write(stream, "hello");
  pair.run_for(seconds(1));
  CHECK(pair.server.app(stream).received == "hello");
  CHECK(pair.server.link->options().services.size() == 2);
}

TEST_CASE("A service that a reload adds is open at once to a client that knows it") {
  LinkPair pair;
  pair.settle();
  pair.server.link->reconfigure(
      with_services(pair, {{"echo", seconds(300)}, {"new", seconds(20)}}));
  LinkOptions mine = pair.client.link->options();
  mine.services.push_back({"new", {}});
  pair.client.link->reconfigure(mine);
  auto index = pair.client.link->find_service("new");
  REQUIRE(index);
  std::uint64_t stream = pair.open(*index);
  pair.client.write(stream, "x");
  pair.run_for(milliseconds(100));
  CHECK(pair.server.app(stream).received == "x");
}

TEST_CASE("A service's grace that a reload changed counts from the next carrier on at both ends") {
  LinkPair pair;
  std::uint64_t stream = pair.open();
  pair.settle();
  pair.server.link->reconfigure(with_services(pair, {{"echo", seconds(20)}}));
  auto grace_of = [](const Link& link) { return link.options().services[0].grace; };
  CHECK(grace_of(*pair.server.link) == seconds(300));
  SECTION("the outage under way has the old grace") {
    pair.reachable = false;
    pair.cut();
    pair.run_for(seconds(100));
    pair.reachable = true;
    pair.client.write(stream, "kept");
    pair.run_for(seconds(20));
    CHECK(pair.server.app(stream).received == "kept");
  }
  SECTION("the one after the next carrier has the new one, and both ends agree") {
    pair.cut();
    pair.run_for(seconds(1));
    CHECK(grace_of(*pair.server.link) == seconds(20));
    CHECK(grace_of(*pair.client.link) == seconds(20));
    pair.reachable = false;
    pair.cut();
    pair.run_for(seconds(30));
    CHECK(pair.server.app(stream).reset == Cause::grace_expired);
    CHECK(pair.client.app(stream).reset == Cause::grace_expired);
  }
}

TEST_CASE("A client learns the grace of a service that it adds later from the last WELCOME") {
  LinkPair::Options options;
  options.services = {{"echo", seconds(300)}, {"short", seconds(10)}};
  LinkPair pair(options);
  LinkOptions mine = pair.client.link->options();
  mine.services = {{"echo", {}}};
  pair.client.link->reconfigure(mine);
  pair.settle();
  mine.services.push_back({"late", {}});
  pair.client.link->reconfigure(mine);
  auto late = pair.client.link->find_service("late");
  REQUIRE(late);
  CHECK(pair.client.link->options().services[*late].grace == seconds(300));
  CHECK_FALSE(pair.client.link->find_service("short"));
}

TEST_CASE(
    "Who is paused for memory reads on as soon as a reload gives some, also without a carrier") {
  LinkPair pair;
  std::vector<std::uint64_t> ids;
  for (int each = 0; each < 10; ++each) ids.push_back(pair.open());
  pair.settle();
  LinkOptions mine = pair.client.link->options();
  mine.memory_cap = 64 * kKiB;
  pair.client.link->reconfigure(mine);
  pair.reachable = false;
  pair.cut();
  for (std::uint64_t id : ids) pair.client.write(id, std::string(64 * kKiB, 'x'));
  pair.run_for(seconds(1));
  CHECK(pair.client.link->send_log_bytes() <= 64 * kKiB);
  mine.memory_cap = 16 * kMiB;
  pair.client.link->reconfigure(mine);
  pair.run_for(milliseconds(1));
  CHECK(pair.client.link->send_log_bytes() > 500 * kKiB);
  pair.reachable = true;
  pair.run_for(seconds(10));
  for (std::uint64_t id : ids) CHECK(pair.server.app(id).received.size() == 64 * kKiB);
}

TEST_CASE("Revoking ends the streams of what is not offered, with the cause at both ends") {
  LinkPair pair;
  std::uint64_t gone = pair.open(0);
  std::uint64_t stays = pair.open(1);
  pair.settle();
  pair.server.link->reconfigure(with_services(pair, {{"short", seconds(10)}}));
  pair.server.link->reset_unoffered(pair.now(), Cause::revoked);
  pair.client.write(stays, "on");
  pair.run_for(milliseconds(100));
  CHECK(pair.server.app(gone).reset == Cause::revoked);
  CHECK(pair.client.app(gone).reset == Cause::revoked);
  CHECK(pair.server.app(stays).received == "on");
}

TEST_CASE(
    "A heartbeat that a reload changed at the server is the client's after the next WELCOME") {
  LinkPair pair;
  pair.settle();
  LinkOptions changed = pair.server.link->options();
  changed.heartbeat = milliseconds(300);
  pair.server.link->reconfigure(changed);
  CHECK(pair.server.link->options().heartbeat == seconds(1));
  pair.cut();
  pair.run_for(seconds(1));
  CHECK(pair.server.link->options().heartbeat == milliseconds(300));
  CHECK(pair.client.link->options().heartbeat == milliseconds(300));
}

TEST_CASE("Fewer streams than live ones refuse new ones and end none") {
  LinkPair pair;
  std::uint64_t first = pair.open();
  pair.open();
  pair.settle();
  LinkOptions fewer = pair.server.link->options();
  fewer.max_streams = 1;
  pair.server.link->reconfigure(fewer);
  pair.cut();
  pair.client.write(first, "both stay");
  pair.run_for(seconds(1));
  CHECK(pair.server.link->stream_count() == 2);
  CHECK(pair.server.app(first).received == "both stay");
  CHECK_FALSE(pair.client.link->open(pair.now(), {}).ok());
}

TEST_CASE("Of OPENs that wait, those above a WELCOME's limit are refused and the others served") {
  LinkPair pair;
  std::uint64_t live = pair.open();
  pair.settle();
  LinkOptions few = pair.server.link->options();
  few.max_streams = 3;
  pair.server.link->reconfigure(few);
  pair.reachable = false;
  pair.cut();
  std::vector<std::uint64_t> waiting;
  for (int i = 0; i < 5; ++i) waiting.push_back(pair.open());
  for (std::uint64_t id : waiting) pair.client.write(id, "hello");
  pair.reachable = true;
  pair.run_for(seconds(1));
  CHECK(pair.server.link->stream_count() == 3);
  CHECK(pair.client.link->stream_count() == 3);
  CHECK(pair.server.app(waiting[1]).received == "hello");
  for (std::size_t i = 2; i < 5; ++i) CHECK(pair.client.app(waiting[i]).reset == Cause::limit);
  pair.cut();
  pair.client.write(live, "on");
  pair.run_for(seconds(1));
  CHECK(pair.server.app(live).received == "on");
}

TEST_CASE("A shorter open_timeout counts for who waits already and behind longer ones") {
  LinkPair::Options options;
  options.open_timeout = seconds(600);
  LinkPair pair(options);
  std::uint64_t over = pair.open();  // long over; what it waited for is still queued
  pair.settle();
  pair.client.link->reset(pair.now(), pair.client.app(over).handle, Cause::admin_kill);
  pair.settle();
  pair.reachable = false;
  pair.cut();
  std::uint64_t before = pair.open();
  LinkOptions shorter = pair.client.link->options();
  shorter.open_timeout = seconds(2);
  pair.client.link->reconfigure(shorter);
  std::uint64_t after = pair.open();
  pair.run_for(milliseconds(1900));
  CHECK_FALSE(pair.client.app(before).reset);
  pair.run_for(milliseconds(200));
  CHECK(pair.client.app(before).reset == Cause::open_timeout);
  CHECK(pair.client.app(after).reset == Cause::open_timeout);
}

TEST_CASE("Less memory for a link drops nothing that it holds") {
  LinkPair pair;
  pair.server.appetite = 0;
  std::uint64_t stream = pair.open();
  std::string bytes(400000, 'x');
  pair.client.write(stream, bytes);
  pair.run_for(seconds(1));
  LinkOptions less = pair.server.link->options();
  less.memory_cap = 0;
  pair.server.link->reconfigure(less);
  pair.server.eat(stream, UINT64_MAX);
  pair.run_for(seconds(5));
  CHECK(pair.server.app(stream).received == bytes);
}

}  // namespace
}  // namespace holdfast::test
