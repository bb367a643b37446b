#include "common/state/kernel_judge.h"

#include <chrono>
#include <thread>

#include "common/state/socket_counters.h"
#include "tests/unit/socket_pair.h"
#include "tests/unit/support.h"

namespace holdfast {
namespace {

using Operation = Intent::Operation;
using Life = SocketPosition::Life;

std::optional<SocketPosition> look(const StreamRecord& record, Operation what = Operation::none) {
  return KernelJudge({}).look(record, what);
}

StreamRecord record_of(int descriptor, std::uint64_t read_before, std::uint64_t written_before) {
  StreamRecord record;
  record.own({descriptor, read_before, written_before});
  return record;
}

void await_close(int descriptor) {
  for (int i = 0; i < 2000 && !read_counters(descriptor)->closed; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  REQUIRE(read_counters(descriptor)->closed);
}

void say(const Descriptor& socket, std::string_view text) {
  REQUIRE(send(socket.get(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
}

std::size_t hear(const Descriptor& socket, std::size_t size) {
  std::string text(size, 0);
  for (int i = 0; i < 2000; ++i) {
    ssize_t got = recv(socket.get(), text.data(), size, MSG_WAITALL);
    if (got >= 0) return static_cast<std::size_t>(got);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return 0;
}

}  // namespace

TEST_CASE("a position is counted from the stream's first byte", "[host]") {
  auto [agent, application] = application_pair();
  say(application, "header:bytes");
  REQUIRE(hear(agent, 10) == 10);
  say(agent, "abc");
  auto position = look(record_of(agent.get(), 7, 1));
  REQUIRE(position.has_value());
  CHECK(position->read == 3);
  CHECK(position->written == std::optional<std::uint64_t>(2));
  CHECK(position->life == Life::stands);
}

TEST_CASE("a connection that was reset is no clean end, though its kernel has told of the error",
          "[host]") {
  auto [agent, application] = application_pair();
  close_with_reset(application);
  await_close(agent.get());
  CHECK(take_socket_error(agent.get()) == ECONNRESET);
  for (Operation what : {Operation::none, Operation::read, Operation::write}) {
    auto position = look(record_of(agent.get(), 0, 0), what);
    REQUIRE(position.has_value());
    CHECK(position->life == Life::reset);
    CHECK(position->read == 0);
  }
}

TEST_CASE("a reset after the application's end is that, and with a read under way nothing",
          "[host]") {
  auto [agent, application] = application_pair();
  shutdown(application.get(), SHUT_WR);
  say(agent, "more");
  close_with_reset(application);
  await_close(agent.get());
  auto position = look(record_of(agent.get(), 0, 0));
  REQUIRE(position.has_value());
  CHECK(position->life == Life::reset_after_fin);
  CHECK_FALSE(look(record_of(agent.get(), 0, 0), Operation::read).has_value());
}

TEST_CASE("of a socket that has failed it does not matter what was written") {
  auto [agent, application] = application_pair();
  StreamRecord record = record_of(agent.get(), 0, 0);
  record.latched = true;
  say(agent, "abc");
  CHECK_FALSE(look(record)->written.has_value());
}

TEST_CASE("what is no socket, or several streams', is nobody's") {
  CHECK_FALSE(look(record_of(0, 0, 0)).has_value());
  CHECK_FALSE(look(record_of(987654, 0, 0)).has_value());
  auto [agent, application] = application_pair();
  CHECK_FALSE(KernelJudge({agent.get()}).look(record_of(agent.get(), 0, 0), {}).has_value());
}

TEST_CASE("a Unix socket tells what was read, and while its count begins anew the record does",
          "[host]") {
  test::Sockets pair;
  StreamRecord record = record_of(pair.ends[0], 0, 0);
  CHECK(look(record)->read == 0);  // nothing counts yet, and nothing was read
  REQUIRE(count_unix(pair.ends[0]));
  REQUIRE(write(pair.ends[1], "hello", 5) == 5);
  char bytes[3];
  REQUIRE(read(pair.ends[0], bytes, 3) == 3);
  CHECK(look(record, Operation::read)->read == 3);
  CHECK_FALSE(look(record)->written.has_value());
  // Anew: from here on three are before the count.
  REQUIRE(count_unix(pair.ends[0]));
  CHECK(look(record)->read == record.send.committed());
  record.read_before -= 3;
  CHECK(look(record, Operation::read)->read == 3);
}

}  // namespace holdfast
