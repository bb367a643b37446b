// Who makes room when there are too many newcomers.
#include "server-agent/seats.h"

#include <deque>

#include "tests/catch.h"

using namespace holdfast;
using Stage = Seat::Stage;

namespace {

struct Room {
  SeatLimits limits{8, 4, 2};
  std::deque<std::string> names;
  std::vector<Seat> seats;
  std::vector<std::string> known;
  std::uint64_t next = 0;

  // Gives the number of whoever had to leave, or 0.
  std::uint64_t sit(const std::string& source, Stage stage = Stage::silent,
                    const std::string& client = "") {
    auto leaves = who_makes_room(seats, source, limits, [this](std::string_view place) {
      return std::find(known.begin(), known.end(), place) != known.end();
    });
    if (leaves) std::erase_if(seats, [&](const Seat& seat) { return seat.id == *leaves; });
    names.push_back(source);
    seats.push_back({CarrierId{++next}, stage, names.back(), client});
    return leaves ? leaves->value : 0;
  }
};

std::string source(const char* literal) {
  return source_of(*SocketAddress::literal({literal, 1}));
}

}  // namespace

TEST_CASE("while there is room nobody leaves") {
  Room room;
  for (int i = 0; i < 4; ++i) CHECK(room.sit("a") == 0);
  for (int i = 0; i < 4; ++i) CHECK(room.sit("b") == 0);
}

TEST_CASE("beyond a source's seats its own oldest leaves") {
  Room room;
  room.sit("b");
  for (int i = 0; i < 4; ++i) room.sit("a");
  CHECK(room.sit("a") == 2);
  CHECK(room.sit("a") == 3);
}

TEST_CASE("a flood of silent ones costs nobody his seat who was answered") {
  Room room;
  room.sit("a", Stage::answered);
  for (int i = 0; i < 100; ++i) CHECK(room.sit("a") != 1);
}

TEST_CASE("a flood of answered ones costs nobody his seat who is about to speak") {
  Room room;
  room.sit("a");
  for (int i = 0; i < 100; ++i) CHECK(room.sit("a", Stage::answered) != 1);
  // From everywhere, too.
  Room wide;
  wide.sit("a");
  for (int i = 0; i < 100; ++i) {
    CHECK(wide.sit("x" + std::to_string(i), Stage::answered) != 1);
  }
}

TEST_CASE("of answered ones the oldest leaves, when they are more") {
  Room room;
  for (int i = 0; i < 4; ++i) room.sit("a", Stage::answered);
  CHECK(room.sit("a", Stage::answered) == 1);
  CHECK(room.sit("a", Stage::answered) == 2);
}

TEST_CASE("who has proved who it is never leaves for a stranger") {
  Room room;
  room.sit("a", Stage::proven, "edge-1");
  for (int i = 0; i < 100; ++i) CHECK(room.sit("a") != 1);
  for (int i = 0; i < 100; ++i) CHECK(room.sit("x" + std::to_string(i)) != 1);
}

TEST_CASE("with all seats taken the source with the most loses one") {
  Room room;
  for (int i = 0; i < 4; ++i) room.sit("a");
  for (int i = 0; i < 4; ++i) room.sit("x" + std::to_string(i));
  CHECK(room.sit("new") == 1);
}

TEST_CASE("seats of places that links are known at outlast a flood from everywhere") {
  Room room;
  room.known = {"home"};
  room.sit("home");
  room.sit("home");
  for (int i = 0; i < 1000; ++i) CHECK(room.sit("x" + std::to_string(i)) != 1);
  CHECK(room.seats.size() == room.limits.unproven);
  CHECK(room.seats.front().id == CarrierId{1});
}

TEST_CASE("a client has its own seats and loses its own oldest") {
  Room room;
  room.sit("a", Stage::proven, "edge-2");
  for (int i = 0; i < 3; ++i) room.sit("a", Stage::proven, "edge-1");
  CHECK(room.sit("b") == 2);
  CHECK(room.sit("b") == 0);
}

TEST_CASE("a source is an IPv4 address or an IPv6 network of a customer") {
  CHECK(source("192.0.2.1") != source("192.0.2.2"));
  CHECK(source("2001:db8::1") == source("2001:db8::ffff:1"));
  CHECK(source("2001:db8:0:1::1") != source("2001:db8:0:2::1"));
  CHECK(source("::ffff:192.0.2.1") != source("::ffff:192.0.2.2"));
}
