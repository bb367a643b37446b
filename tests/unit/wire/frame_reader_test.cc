#include "common/wire/frame_reader.h"

#include "common/base/random.h"
#include "common/wire/coding.h"
#include "tests/catch.h"
#include "tests/unit/wire/support.h"

namespace holdfast {

using namespace test;

namespace {

// All golden frames one after the other, with optional unknown ones between them.
Buffer conversation() {
  Buffer bytes;
  std::uint8_t odd = 31;
  for (const char* name : {"hello", "table", "data", "open", "ack", "data", "fin", "drain", "ping",
                           "welcome", "abort", "reset", "goodbye", "data"}) {
    bytes = bytes + golden(name) + raw_frame(odd, Buffer(odd % 7, 0xee));
    odd = static_cast<std::uint8_t>(odd + 2);
  }
  return bytes;
}

// What comes out, in one line; DATA's parts are joined, so that chunking cannot show.
struct Transcript {
  std::string text;
  void take(FrameReader& reader) {
    while (true) {
      FrameReader::Item item = reader.next();
      if (std::holds_alternative<FrameReader::NeedMore>(item)) return;
      if (auto* frame = std::get_if<FrameReader::ControlFrame>(&item)) {
        text +=
            "[" + std::to_string(static_cast<int>(frame->type)) + ":" + hex(frame->payload) + "]";
      } else if (auto* data = std::get_if<DataHeader>(&item)) {
        text += "[data " + std::to_string(data->offset) + "+" + std::to_string(data->length) + ":";
      } else if (auto* part = std::get_if<FrameReader::DataPart>(&item)) {
        REQUIRE(!part->bytes.empty());
        text += hex(part->bytes);
        if (!reader.inside_frame()) text += "]";
      } else {
        text += "malformed";
        return;
      }
    }
  }
};

std::string read_in_chunks(const Buffer& bytes, const std::vector<std::size_t>& chunks) {
  FrameReader reader;
  Transcript transcript;
  std::size_t at = 0;
  for (std::size_t size : chunks) {
    // Each chunk in memory of its own that goes away: a view kept across feeds would show.
    Buffer part(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                bytes.begin() + static_cast<std::ptrdiff_t>(at + size));
    reader.feed(part);
    transcript.take(reader);
    CHECK(reader.unread() == 0);
    at += size;
  }
  REQUIRE(at == bytes.size());
  CHECK_FALSE(reader.inside_frame());
  return transcript.text;
}

}  // namespace

TEST_CASE("frames come out the same whole and one byte at a time") {
  Buffer bytes = conversation();
  std::string whole = read_in_chunks(bytes, {bytes.size()});
  CHECK(whole.find("malformed") == std::string::npos);
  CHECK(read_in_chunks(bytes, std::vector<std::size_t>(bytes.size(), 1)) == whole);
}

TEST_CASE("frames come out the same for every split point") {
  Buffer bytes = conversation();
  std::string whole = read_in_chunks(bytes, {bytes.size()});
  for (std::size_t at = 1; at < bytes.size(); ++at) {
    INFO("split at " << at);
    REQUIRE(read_in_chunks(bytes, {at, bytes.size() - at}) == whole);
  }
}

TEST_CASE("frames come out the same in seeded random chunks") {
  Buffer bytes = conversation();
  std::string whole = read_in_chunks(bytes, {bytes.size()});
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    INFO("seed " << seed);
    Random random(seed);
    std::vector<std::size_t> chunks;
    for (std::size_t left = bytes.size(); left != 0; left -= chunks.back()) {
      chunks.push_back(std::min<std::size_t>(left, random.between(1, 1 + random.below(90))));
    }
    REQUIRE(read_in_chunks(bytes, chunks) == whole);
  }
}

TEST_CASE("a control frame that lies whole in the input is not copied") {
  Buffer bytes = golden("ping") + golden("data");
  FrameReader reader;
  reader.feed(bytes);
  auto item = reader.next();
  REQUIRE(std::holds_alternative<FrameReader::ControlFrame>(item));
  CHECK(std::get<FrameReader::ControlFrame>(item).payload.data() ==
        bytes.data() + kFrameHeaderSize);
  item = reader.next();
  REQUIRE(std::holds_alternative<DataHeader>(item));
  item = reader.next();
  REQUIRE(std::holds_alternative<FrameReader::DataPart>(item));
  const auto& part = std::get<FrameReader::DataPart>(item);
  CHECK(part.bytes.data() == bytes.data() + bytes.size() - 5);
  CHECK_FALSE(reader.inside_frame());
}

TEST_CASE("the bytes of DATA come out as they arrive, never held back or copied") {
  Buffer frame = golden("data");
  std::size_t head = frame.size() - 5;
  FrameReader reader;
  reader.feed(Bytes(frame).first(head + 2));
  REQUIRE(std::holds_alternative<DataHeader>(reader.next()));
  auto item = reader.next();
  REQUIRE(std::holds_alternative<FrameReader::DataPart>(item));
  CHECK(std::get<FrameReader::DataPart>(item).bytes.size() == 2);
  CHECK(std::holds_alternative<FrameReader::NeedMore>(reader.next()));
  CHECK(reader.inside_frame());
  reader.feed(Bytes(frame).subspan(head + 2));
  item = reader.next();
  REQUIRE(std::holds_alternative<FrameReader::DataPart>(item));
  CHECK(std::get<FrameReader::DataPart>(item).bytes.data() == frame.data() + head + 2);
  CHECK_FALSE(reader.inside_frame());
}

TEST_CASE("a stream's FIN is seen behind its last bytes when it lies there whole") {
  Buffer data = golden("data");
  std::uint64_t id = load_big_endian<std::uint64_t>(data.data() + kFrameHeaderSize);
  auto follows = [&](const Buffer& behind, std::uint64_t whose) {
    FrameReader reader;
    Buffer bytes = data + behind;
    reader.feed(bytes);
    CHECK_FALSE(reader.fin_follows(StreamId{whose}));  // DATA comes first
    reader.next();
    CHECK_FALSE(reader.fin_follows(StreamId{whose}));
    REQUIRE(std::holds_alternative<FrameReader::DataPart>(reader.next()));
    REQUIRE_FALSE(reader.inside_frame());
    return reader.fin_follows(StreamId{whose});
  };
  Buffer fin = fin_frame(id, 5);
  CHECK(follows(fin, id));
  CHECK_FALSE(follows(fin, id + 1));
  CHECK_FALSE(follows({}, id));
  CHECK_FALSE(follows(golden("ping") + fin, id));
  CHECK_FALSE(follows(Buffer(fin.begin(), fin.end() - 1), id));
}

TEST_CASE("a corrupt header is seen as soon as its four bytes are there") {
  FrameReader reader;
  Buffer bad{30, 0, 0, 0};
  for (std::size_t i = 0; i < 3; ++i) {
    reader.feed(Bytes(bad).subspan(i, 1));
    CHECK(std::holds_alternative<FrameReader::NeedMore>(reader.next()));
  }
  reader.feed(Bytes(bad).subspan(3, 1));
  CHECK(std::holds_alternative<FrameReader::Malformed>(reader.next()));
}

TEST_CASE("held bytes that cannot begin a HELLO are known by the first that differs") {
  Buffer hello = golden("hello");
  for (std::size_t size = 1; size < hello.size(); ++size) {
    FrameReader reader;
    reader.feed(Bytes(hello).first(size));
    REQUIRE(std::holds_alternative<FrameReader::NeedMore>(reader.next()));
    CHECK(reader.starts_like_hello());
  }
  for (std::size_t at : {std::size_t{0}, kFrameHeaderSize, kFrameHeaderSize + 1,
                         kFrameHeaderSize + 2, kFrameHeaderSize + 3}) {
    INFO("byte " << at);
    Buffer other = hello;
    other[at] = static_cast<std::uint8_t>(at == 0 ? 4 : other[at] ^ 0x20);
    FrameReader before;
    before.feed(Bytes(other).first(at));
    before.next();
    CHECK(before.starts_like_hello());
    FrameReader reader;
    reader.feed(Bytes(other).first(at + 1));
    reader.next();
    CHECK_FALSE(reader.starts_like_hello());
  }
}

TEST_CASE("what is held is bounded by one control frame") {
  FrameReader reader;
  Buffer frame = raw_frame(99, Buffer(kMaxControlPayload, 7));
  for (int round = 0; round < 50; ++round) {
    reader.feed(Bytes(frame).first(frame.size() - 1));
    REQUIRE(std::holds_alternative<FrameReader::NeedMore>(reader.next()));
    reader.feed(Bytes(frame).subspan(frame.size() - 1));
    REQUIRE(std::holds_alternative<FrameReader::NeedMore>(reader.next()));
    CHECK_FALSE(reader.inside_frame());
  }
}

}  // namespace holdfast
