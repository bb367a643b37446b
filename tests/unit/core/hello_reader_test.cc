#include "common/core/hello_reader.h"

#include "tests/catch.h"
#include "tests/unit/wire/support.h"

namespace holdfast {

using namespace test;

namespace {

using State = HelloReader::State;

std::vector<TableEntry> entries(std::uint64_t first, std::uint64_t count) {
  std::vector<TableEntry> table;
  for (std::uint64_t i = 0; i < count; ++i)
    table.push_back({StreamId{first + i}, 0, 0, 4096, true});
  return table;
}

Buffer greeting() {
  return golden("hello") + golden("table");
}

struct Outcome {
  State state;
  std::string reason;
};

Outcome read(const Buffer& bytes, std::uint32_t max_streams = 1000) {
  HelloReader reader(max_streams);
  reader.feed(bytes);
  return {reader.state(), reader.reason()};
}

TEST_CASE("a TLS greeting on a plaintext link is called by its name") {
  const std::vector<std::uint8_t> client_hello = {22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3};
  HelloReader reader(10);
  CHECK(reader.feed(client_hello) == HelloReader::State::failed);
  CHECK(reader.reason() == "it speaks TLS, and this link is unsafe_plaintext");
}

}  // namespace

TEST_CASE("a HELLO and its table are read however they are chunked") {
  Buffer bytes = greeting();
  for (std::size_t chunk : {std::size_t{1}, std::size_t{3}, std::size_t{17}, bytes.size()}) {
    INFO("chunks of " << chunk);
    HelloReader reader(1000);
    for (std::size_t at = 0; at < bytes.size(); at += chunk) {
      REQUIRE(reader.state() == State::incomplete);
      Buffer part(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                  bytes.begin() + static_cast<std::ptrdiff_t>(std::min(at + chunk, bytes.size())));
      reader.feed(part);
    }
    REQUIRE(reader.state() == State::complete);
    CHECK(reader.request().hello.name == "edge-1");
    CHECK(reader.request().hello.attempt == 7);
    CHECK(reader.request().highest == StreamId{9});
    REQUIRE(reader.request().table.size() == 2);
    CHECK(reader.request().table[1].id == StreamId{9});
  }
}

TEST_CASE("a HELLO takes effect only when the last chunk of its table is there") {
  auto table = table_frames(2000, entries(1, kMaxTableEntries + 1));
  Buffer bytes = golden("hello") + table;
  HelloReader reader(1000);
  CHECK(reader.feed(Bytes(bytes).first(bytes.size() - 1)) == State::incomplete);
  CHECK(reader.feed(Bytes(bytes).subspan(bytes.size() - 1)) == State::complete);
  CHECK(reader.request().table.size() == kMaxTableEntries + 1);
}

TEST_CASE("what is no greeting is refused with its reason") {
  struct Row {
    const char* name;
    Buffer bytes;
    const char* reason;
  };
  Buffer text(32, 'A');
  std::string http = "GET / HTTP/1.1\r\n\r\n";
  std::string ssh = "SSH-2.0-OpenSSH_9.2\r\n";
  Buffer out_of_order =
      table_frames(9, {{StreamId{5}, 0, 0, 1, true}, {StreamId{4}, 0, 0, 1, true}});
  Buffer twice = table_frames(9, {{StreamId{5}, 0, 0, 1, true}, {StreamId{5}, 0, 0, 1, true}});
  Buffer zero = table_frames(9, {{StreamId{0}, 0, 0, 1, true}});
  Buffer unfinished = raw_frame(6, {0, 0, 0, 0, 0, 0, 0, 0, 1});
  const Row rows[] = {
      {"text", text, ""},
      {"a web browser", Buffer(http.begin(), http.end()), ""},
      {"a secure shell", Buffer(ssh.begin(), ssh.end()), ""},
      {"TLS", {0x16, 3, 1, 2, 0, 1, 0, 1}, ""},
      {"zeroes", Buffer(64, 0), ""},
      {"a table first", golden("table"), "expected HELLO"},
      {"data first", golden("data"), "DATA before HELLO"},
      {"another frame first", golden("ping"), "expected HELLO"},
      {"two greetings", golden("hello") + golden("hello"), "expected TABLE after HELLO"},
      {"a frame before the table", golden("hello") + golden("ping"), "expected TABLE after HELLO"},
      {"data before the table", golden("hello") + golden("data"), "DATA before HELLO"},
      {"bytes after the table", greeting() + golden("ping"), "bytes after the table"},
      {"half a frame after the table", greeting() + Buffer{22}, "bytes after the table"},
      {"ids out of order", golden("hello") + out_of_order, "out of order"},
      {"an id twice", golden("hello") + twice, "out of order"},
      {"id zero", golden("hello") + zero, "out of order"},
      {"an empty chunk that is not the last", golden("hello") + unfinished, "empty table chunk"},
      {"a wrong magic", raw_frame(2, Buffer(90, 'x')), "not a Holdfast client"},
  };
  for (const Row& row : rows) {
    INFO(row.name);
    Outcome outcome = read(row.bytes);
    CHECK(outcome.state == State::failed);
    CHECK(outcome.reason.find(row.reason) != std::string::npos);
    CHECK(!outcome.reason.empty());
  }
}

TEST_CASE("of a longer table than is kept the rest is read and forgotten, and it says so") {
  Buffer bytes = golden("hello") + table_frames(100000, entries(1, 100000));
  for (std::uint32_t kept : {99999U, 600U, 0U}) {
    HelloReader reader(kept);
    REQUIRE(reader.feed(bytes) == State::complete);
    CHECK(reader.request().table.size() == kept);
    CHECK(reader.request().cut_short);
    CHECK(reader.request().highest == StreamId{100000});
  }
  HelloReader reader(100000);
  REQUIRE(reader.feed(bytes) == State::complete);
  CHECK_FALSE(reader.request().cut_short);
}

TEST_CASE("a table that would never end is refused at the most that a link may have") {
  Buffer most = golden("hello") + table_frames(kMostTableEntries, entries(1, kMostTableEntries));
  CHECK(read(most, 10).state == State::complete);
  auto more = entries(1, kMostTableEntries + 1);
  CHECK(read(golden("hello") + table_frames(kMostTableEntries + 1, more), 10).reason ==
        "table too long");
}

TEST_CASE("what is not kept of a table is held to its order, too") {
  auto table = entries(1, 20);
  table.back().id = StreamId{19};
  CHECK(read(golden("hello") + table_frames(100, table), 5).reason == "table out of order");
}

TEST_CASE("a stray peer is known by its first bytes however slowly they come") {
  std::string text = "\x02....and more that never comes";
  HelloReader reader(10);
  std::size_t fed = 0;
  while (reader.state() == State::incomplete && fed < text.size()) {
    Buffer one{static_cast<std::uint8_t>(text[fed])};
    reader.feed(one);
    fed += 1;
  }
  CHECK(reader.state() == State::failed);
  CHECK(fed <= 8);
}

TEST_CASE("a peer that sends optional frames only is refused after one frame's worth of bytes") {
  for (std::size_t size : {std::size_t{0}, std::size_t{1000}}) {
    HelloReader reader(10);
    Buffer optional = raw_frame(41, Buffer(size, 1));
    std::size_t fed = 0;
    while (reader.state() == State::incomplete && fed < 10 * kMiB) {
      reader.feed(optional);
      fed += optional.size();
    }
    CHECK(reader.state() == State::failed);
    CHECK(fed <= 2 * kMaxControlPayload);
  }
}

TEST_CASE("optional frames are skipped before and within the greeting") {
  Buffer odd = raw_frame(41, {1, 2, 3});
  CHECK(read(odd + golden("hello") + odd + golden("table")).state == State::complete);
}

TEST_CASE("nothing is read any more after a failure") {
  HelloReader reader(10);
  Buffer bad = golden("ping");
  REQUIRE(reader.feed(bad) == State::failed);
  std::string reason = reader.reason();
  Buffer good = greeting();
  CHECK(reader.feed(good) == State::failed);
  CHECK(reader.reason() == reason);
}

}  // namespace holdfast
