// The worked example of docs/PROTOCOL.md against the codec: its bytes are what the encoders write.
#include "tests/catch.h"
#include "tests/unit/wire/support.h"

namespace holdfast {
namespace {

using namespace test;

struct Frame {
  std::string title;  // who says what: "client HELLO"
  Buffer bytes;
};

// The chapter's frames: a line "client HELLO" or the like, then lines of bytes, two spaces before
// each; what follows # is for people.
std::vector<Frame> frames_of_the_text() {
  std::ifstream file(source_folder() / "docs" / "PROTOCOL.md");
  std::vector<Frame> frames;
  bool chapter = false;
  bool block = false;
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("## ", 0) == 0) chapter = line.find("worked example") != std::string::npos;
    if (line.rfind("```", 0) == 0) {
      block = !block;
      continue;
    }
    if (!chapter || !block) continue;
    std::istringstream words(line.substr(0, line.find('#')));
    if (line.rfind("  ", 0) != 0) {
      std::string who;
      std::string what;
      words >> who >> what;
      frames.push_back({who + " " + what, {}});
      continue;
    }
    REQUIRE(!frames.empty());
    for (std::string word; words >> word;) {
      REQUIRE(word.size() == 2);
      frames.back().bytes.push_back(static_cast<std::uint8_t>(std::stoul(word, nullptr, 16)));
    }
  }
  return frames;
}

constexpr std::uint64_t kInstance = 0x1122334455667788;

Buffer hello(std::uint64_t attempt, std::uint64_t instance) {
  Hello hello;
  for (std::size_t i = 0; i < hello.link.bytes.size(); ++i) {
    hello.link.bytes[i] = static_cast<std::uint8_t>(0xa0 + i);
  }
  hello.instance = instance;
  hello.attempt = attempt;
  hello.name = "edge-1";
  hello.start_id = 0x0102030405060708;
  hello.ordinal = 1;
  hello.features = kFeatureServicesDown;
  return hello_frame(hello);
}

Buffer welcome(Verdict verdict) {
  Welcome welcome;
  welcome.verdict = verdict;
  welcome.instance = kInstance;
  welcome.server = "gate";
  welcome.grace = seconds(300);
  welcome.heartbeat = seconds(1);
  welcome.dead_after = seconds(15);
  welcome.max_streams = 10000;
  welcome.initial_credit = 4096;
  return welcome_frame(welcome);
}

Buffer open() {
  Open open;
  open.id = StreamId{1};
  open.limit = 65536;
  open.source = {EndpointFamily::ipv4, {192, 0, 2, 1}, 51000};
  open.service = "web";
  return small_frame([&](MutableBytes to) { return encode_open(to, open); });
}

Buffer data(std::uint64_t offset, std::uint64_t ack, std::uint64_t limit, const char* bytes) {
  return data_frame({StreamId{1}, offset, ack, limit, 0}, bytes);
}

}  // namespace

TEST_CASE("the protocol's worked example is what the encoders write") {
  std::vector<Frame> expected = {
      {"client HELLO", hello(1, 0)},
      {"client TABLE", table_frames(0, {})},
      {"server WELCOME", welcome(Verdict::created)},
      {"server TABLE", table_frames(0, {})},
      {"client OPEN", open()},
      {"client DATA", data(0, 0, 65536, "hello")},
      {"server OPENED", opened_frame(1)},
      {"server DATA", data(0, 5, 4101, "hi")},
      {"client DATA", data(5, 2, 65538, " again")},
      {"client FIN", fin_frame(1, 11)},
      {"client HELLO", hello(2, kInstance)},
      {"client TABLE", table_frames(1, {{StreamId{1}, 2, 2, 65538, true}})},
      {"server WELCOME", welcome(Verdict::resumed)},
      {"server TABLE", table_frames(1, {{StreamId{1}, 8, 8, 4104, true}})},
      {"client DATA", data(8, 2, 65538, "ain")},
      {"client FIN", fin_frame(1, 11)},
      {"server FIN", fin_frame(1, 2)},
      {"server ACK", ack_frame({{StreamId{1}, 12, 4107}})},
      {"client ACK", ack_frame({{StreamId{1}, 3, 65538}})},
      {"client PING", ping_frame(1000000)},
      {"server PONG", pong_frame(1000000)},
      {"client GOODBYE", goodbye_frame(Cause::goodbye)},
  };
  std::vector<Frame> told = frames_of_the_text();
  REQUIRE(told.size() == expected.size());
  for (std::size_t i = 0; i < told.size(); ++i) {
    INFO(i);
    CHECK(told[i].title == expected[i].title);
    CHECK(hex(told[i].bytes) == hex(expected[i].bytes));
  }
}

}  // namespace holdfast
