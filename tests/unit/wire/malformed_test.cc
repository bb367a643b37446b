// Bad frames: every truncation, and each corruption that the protocol names.
#include "tests/catch.h"
#include "tests/unit/wire/support.h"

namespace holdfast {

using namespace test;

namespace {

// Whether a control frame's payload decodes.
bool decodes(FrameType type, Bytes payload) {
  switch (type) {
    case FrameType::hello:
      return decode_hello(payload).ok();
    case FrameType::welcome:
      return decode_welcome(payload).ok();
    case FrameType::table:
      return decode_table(payload).ok();
    case FrameType::open:
      return decode_open(payload).ok();
    case FrameType::opened:
      return decode_opened(payload).ok();
    case FrameType::fin:
      return decode_fin(payload).ok();
    case FrameType::abort:
      return decode_abort(payload).ok();
    case FrameType::reset:
      return decode_reset(payload).ok();
    case FrameType::ack:
      return decode_ack(payload).ok();
    case FrameType::ping:
    case FrameType::pong:
      return decode_ping(payload).ok();
    case FrameType::goodbye:
      return decode_goodbye(payload).ok();
    case FrameType::origin:
      return decode_origin(payload).ok();
    case FrameType::services_down:
      return decode_services_down(payload).ok();
    case FrameType::drain:
    case FrameType::data:
      return true;
  }
  return false;
}

std::vector<std::string> control_frames() {
  return {"hello",  "welcome", "welcome_grants", "table",       "open",        "open_intercepted",
          "opened", "fin",     "abort",          "reset",       "ack",         "ping",
          "pong",   "goodbye", "origin",         "hello_marks", "welcome_home"};
}

// Where a payload may end short of its whole length and still be one: whole parameters and
// whole entries.
bool may_end_at(const std::string& name, std::size_t size, std::size_t whole) {
  if (size == whole) return true;
  if (name == "table") return size == kTablePrefixSize || size == kTablePrefixSize + 33;
  if (name == "ack") return size == kAckEntrySize;
  if (name == "hello_marks" && size == 94) return true;
  if (name == "hello" || name == "hello_marks")
    return size == 50 || size == 58 || size == 70 || size == 82;
  if (name == "welcome") {
    std::vector<std::size_t> ends = {29, 41, 53, 65, 77, 85, 97, 109};
    return std::find(ends.begin(), ends.end(), size) != ends.end();
  }
  if (name == "welcome_home") {
    std::vector<std::size_t> ends = {21, 33, 45, 57, 69, 77, 89, 101, 118};
    return std::find(ends.begin(), ends.end(), size) != ends.end();
  }
  if (name == "welcome_grants") {
    std::vector<std::size_t> ends = {21, 33, 45, 57, 69, 77, 89, 101};
    return std::find(ends.begin(), ends.end(), size) != ends.end();
  }
  return false;
}

std::string error_of(const Buffer& bytes) {
  FrameReader reader;
  reader.feed(bytes);
  while (true) {
    auto item = reader.next();
    if (auto* bad = std::get_if<FrameReader::Malformed>(&item)) return bad->error.message;
    if (std::holds_alternative<FrameReader::NeedMore>(item)) return "";
  }
}

Buffer header(std::uint8_t type, std::size_t length) {
  return {type, static_cast<std::uint8_t>(length >> 16), static_cast<std::uint8_t>(length >> 8),
          static_cast<std::uint8_t>(length)};
}

Buffer hello_with(const Buffer& parameter) {
  Buffer whole = golden("hello");
  Buffer payload(whole.begin() + kFrameHeaderSize, whole.begin() + kFrameHeaderSize + 50);
  return payload + parameter;
}

Buffer welcome_with(const Buffer& parameter) {
  Buffer whole = golden("welcome");
  Buffer payload(whole.begin() + kFrameHeaderSize, whole.begin() + kFrameHeaderSize + 29);
  return payload + parameter;
}

Buffer parameter(std::uint16_t type, const Buffer& value) {
  Buffer out{static_cast<std::uint8_t>(type >> 8), static_cast<std::uint8_t>(type),
             static_cast<std::uint8_t>(value.size() >> 8), static_cast<std::uint8_t>(value.size())};
  return out + value;
}

Buffer text(const std::string& value) {
  return Buffer(value.begin(), value.end());
}

}  // namespace

TEST_CASE("every truncation of every control frame's payload is refused") {
  for (const std::string& name : control_frames()) {
    Buffer frame = golden(name);
    auto type = static_cast<FrameType>(frame[0]);
    Bytes payload = payload_of(frame);
    for (std::size_t size = 0; size <= payload.size(); ++size) {
      INFO(name << " of " << size << " bytes");
      // A copy of exactly that size, so that reading past it is seen by AddressSanitizer.
      Buffer part(payload.begin(), payload.begin() + static_cast<std::ptrdiff_t>(size));
      bool expected = may_end_at(name, size, payload.size());
      CHECK(decodes(type, part) == expected);
    }
  }
}

TEST_CASE("a byte too many is refused in every frame of a fixed layout") {
  for (const char* name : {"open", "open_intercepted", "opened", "fin", "abort", "reset", "ack",
                           "ping", "pong", "goodbye", "table", "origin"}) {
    INFO(name);
    Buffer frame = golden(name);
    frame.push_back(0);
    CHECK_FALSE(decodes(static_cast<FrameType>(frame[0]), payload_of(frame)));
  }
}

TEST_CASE("every truncation of every frame is incomplete and not corrupt") {
  for (const auto& entry : std::filesystem::directory_iterator(golden_folder())) {
    if (entry.path().extension() != ".hex") continue;
    Buffer frame = golden(entry.path().stem().string());
    for (std::size_t size = 1; size < frame.size(); ++size) {
      INFO(entry.path().stem().string() << " cut to " << size);
      Buffer part(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(size));
      FrameReader reader;
      reader.feed(part);
      FrameReader::Item item = reader.next();
      if (std::holds_alternative<DataHeader>(item)) item = reader.next();
      if (std::holds_alternative<FrameReader::DataPart>(item)) {
        CHECK(reader.inside_frame());
        item = reader.next();
      }
      CHECK(std::holds_alternative<FrameReader::NeedMore>(item));
      CHECK(reader.inside_frame());
      CHECK(reader.unread() == 0);
    }
  }
}

TEST_CASE("frames longer than their limit are refused by their header alone") {
  CHECK(error_of(header(12, kDataPrefixSize)) != "");  // DATA of zero bytes
  CHECK(error_of(header(12, kDataPrefixSize - 1)) != "");
  CHECK(error_of(header(12, 0)) != "");
  CHECK(error_of(header(12, kDataPrefixSize + kMaxDataBytes + 1)) != "");
  CHECK(error_of(header(12, 0xffffff)) != "");
  CHECK(error_of(header(12, kDataPrefixSize + kMaxDataBytes)) == "");
  CHECK(error_of(header(12, kDataPrefixSize + 1)) == "");
  CHECK(error_of(header(20, kMaxControlPayload + 1)) != "");
  CHECK(error_of(header(2, 0xffffff)) != "");
  CHECK(error_of(header(20, kMaxControlPayload)) == "");
  // Optional frames are skipped, but only of a size that can be held.
  CHECK(error_of(header(99, kMaxControlPayload + 1)) != "");
  CHECK(error_of(header(99, kMaxControlPayload)) == "");
}

TEST_CASE("SERVICES_DOWN holds whole names and nothing else, and never more than a frame") {
  for (const Buffer& bad : {Buffer{0}, Buffer{3, 'w', 'e'}, Buffer{1, '*'}, Buffer{1, 'a', 9}}) {
    CHECK_FALSE(decode_services_down(bad).ok());
  }
  CHECK(decode_services_down({})->names.empty());
  Buffer frame = services_down_frame(std::vector<std::string>(1000, std::string(64, 'x')));
  CHECK(frame.size() <= kFrameHeaderSize + kMaxControlPayload);
  CHECK(decode_services_down(payload_of(frame))->names.size() == kMaxControlPayload / 65);
}

TEST_CASE("ORIGIN has a mark, and a key for marks of another size is none") {
  CHECK_FALSE(decode_origin(payload_of(origin_frame(5, 0))).ok());
  for (std::size_t size : {0, 15, 17, 255}) {
    auto hello = decode_hello(
        hello_with(parameter(2, text("edge-1")) + parameter(25, Buffer(size, std::uint8_t{7}))));
    REQUIRE(hello.ok());  // an odd parameter may be skipped
    CHECK(hello->mark_key == MarkKey{});
  }
}

TEST_CASE("unknown even types are violations and unknown odd types are skipped") {
  for (int type = 0; type < 256; ++type) {
    INFO("type " << type);
    bool known = (type >= 2 && type <= 28 && type % 2 == 0) || type == 29 || type == 31;
    if (known) continue;
    Buffer bytes = raw_frame(static_cast<std::uint8_t>(type), {1, 2, 3}) + golden("ping");
    if (type % 2 == 0) {
      CHECK(error_of(bytes).find("unknown frame") != std::string::npos);
      continue;
    }
    FrameReader reader;
    reader.feed(bytes);
    auto item = reader.next();
    REQUIRE(std::holds_alternative<FrameReader::ControlFrame>(item));
    CHECK(std::get<FrameReader::ControlFrame>(item).type == FrameType::ping);
  }
}

TEST_CASE("a malformed frame names its type and length") {
  CHECK(error_of(header(30, 7)) == "unknown frame (type 30, length 7)");
}

TEST_CASE("HELLO of somebody else is told from a damaged one") {
  Buffer frame = golden("hello");
  frame[kFrameHeaderSize] ^= 1;
  auto other = decode_hello(payload_of(frame));
  REQUIRE_FALSE(other.ok());
  CHECK(other.error().message.find("not a Holdfast client") != std::string::npos);
}

TEST_CASE("names outside their alphabet or length are refused in HELLO") {
  CHECK(decode_hello(hello_with({})).ok());
  CHECK_FALSE(decode_hello(hello_with(parameter(2, text("")))).ok());
  CHECK_FALSE(decode_hello(hello_with(parameter(2, text("a b")))).ok());
  CHECK_FALSE(decode_hello(hello_with(parameter(2, text("a/../b")))).ok());
  CHECK_FALSE(decode_hello(hello_with(parameter(2, text("caf\xc3\xa9")))).ok());
  CHECK_FALSE(decode_hello(hello_with(parameter(2, Buffer{'a', 0}))).ok());
  CHECK_FALSE(decode_hello(hello_with(parameter(2, text(std::string(65, 'a'))))).ok());
  CHECK(decode_hello(hello_with(parameter(2, text(std::string(64, 'a'))))).ok());
  CHECK(decode_hello(hello_with(parameter(2, text("A-z_0.9")))).ok());
}

TEST_CASE("HELLO without a name is refused") {
  Buffer whole = golden("hello");
  Buffer fixed(whole.begin() + kFrameHeaderSize, whole.begin() + kFrameHeaderSize + 40);
  CHECK_FALSE(decode_hello(fixed).ok());
}

TEST_CASE("HELLO with attempt zero is refused") {
  Buffer frame = golden("hello");
  frame[kFrameHeaderSize + 39] = 0;
  CHECK_FALSE(decode_hello(payload_of(frame)).ok());
  frame[kFrameHeaderSize + 39] = 1;
  CHECK(decode_hello(payload_of(frame)).ok());
}

TEST_CASE("unknown odd parameters are skipped and unknown even ones are refused") {
  CHECK(decode_hello(hello_with(parameter(101, {1, 2, 3}))).ok());
  CHECK_FALSE(decode_hello(hello_with(parameter(100, {1, 2, 3}))).ok());
  CHECK(decode_welcome(welcome_with(parameter(0x7fff, {}))).ok());
  CHECK_FALSE(decode_welcome(welcome_with(parameter(24, {}))).ok());
  // Those of the other greeting are unknown here.
  CHECK_FALSE(decode_hello(hello_with(parameter(12, Buffer(8, 0)))).ok());
  CHECK_FALSE(decode_welcome(welcome_with(parameter(4, Buffer(4, 0)))).ok());
}

TEST_CASE("parameters of a wrong length are refused") {
  CHECK_FALSE(decode_hello(hello_with(parameter(4, {0, 0, 0}))).ok());
  CHECK_FALSE(decode_hello(hello_with(parameter(6, Buffer(9, 0)))).ok());
  CHECK_FALSE(decode_hello(hello_with(Buffer{0, 4, 0, 200, 1})).ok());
  CHECK_FALSE(decode_hello(hello_with(Buffer{0, 4, 0})).ok());
  CHECK_FALSE(decode_welcome(welcome_with(parameter(18, Buffer(8, 0)))).ok());
}

TEST_CASE("absurd durations are refused") {
  Buffer most{0, 1, 0x1f, 0x6c, 0x35, 0xc2, 0xe0, 0};  // ten years in microseconds
  Buffer huge{0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
  Buffer negative(8, 0xff);
  for (std::uint8_t type :
       {std::uint8_t{10}, std::uint8_t{12}, std::uint8_t{14}, std::uint8_t{16}}) {
    INFO("parameter " << type);
    CHECK(decode_welcome(welcome_with(parameter(type, most))).ok());
    CHECK_FALSE(decode_welcome(welcome_with(parameter(type, huge))).ok());
    CHECK_FALSE(decode_welcome(welcome_with(parameter(type, negative))).ok());
  }
  CHECK(decode_welcome(welcome_with(parameter(22, most + text("a")))).ok());
  CHECK_FALSE(decode_welcome(welcome_with(parameter(22, huge + text("a")))).ok());
}

TEST_CASE("a service grace needs a name and only so many are taken") {
  Buffer zero(8, 0);
  CHECK_FALSE(decode_welcome(welcome_with(parameter(22, zero))).ok());
  CHECK_FALSE(decode_welcome(welcome_with(parameter(22, Buffer(7, 0)))).ok());
  CHECK_FALSE(decode_welcome(welcome_with(parameter(22, zero + text("a b")))).ok());
  CHECK_FALSE(decode_welcome(welcome_with(parameter(22, zero + text(std::string(65, 'a'))))).ok());
  Buffer many;
  for (int i = 0; i < 128; ++i) many = many + parameter(22, zero + text("s" + std::to_string(i)));
  CHECK(decode_welcome(welcome_with(many)).ok());
  CHECK_FALSE(decode_welcome(welcome_with(many + parameter(22, zero + text("more")))).ok());
}

TEST_CASE("grants that cannot be read are skipped, and nothing is taken of them") {
  Buffer zero(8, 0);
  auto grants = [](const Buffer& value) {
    auto welcome = decode_welcome(welcome_with(parameter(23, value)));
    REQUIRE(welcome.ok());
    return welcome->grants;
  };
  CHECK(grants({1})->services.empty());
  CHECK(grants(Buffer{1} + zero + Buffer{3, 'w', 'e', 'b'})->services.size() == 1);
  for (const Buffer& bad : {Buffer{}, Buffer{1, 0}, Buffer{1} + zero, Buffer{1} + zero + Buffer{0},
                            Buffer{1} + zero + Buffer{3, 'w'}, Buffer{1} + zero + Buffer{1, '*'},
                            Buffer{1} + Buffer(8, 0xff) + Buffer{1, 'a'}}) {
    CHECK_FALSE(grants(bad));
  }
}

TEST_CASE("grants that do not fit WELCOME are left out, and that is told") {
  Welcome welcome;
  welcome.server = "gate";
  welcome.grants.emplace();
  for (int i = 0; i < 1000; ++i) {
    welcome.grants->services.push_back({std::string(60, 'x') + std::to_string(i), seconds(1)});
  }
  Buffer frame = welcome_frame(welcome);
  CHECK(frame.size() <= kFrameHeaderSize + kMaxControlPayload);
  auto read = decode_welcome(payload_of(frame));
  REQUIRE(read.ok());
  CHECK_FALSE(read->grants->whole);
  CHECK(read->grants->services.size() > 200);
  CHECK(read->grants->services.size() < 1000);
}

TEST_CASE("WELCOME with an unknown verdict or without a server name is refused") {
  Buffer frame = golden("welcome");
  for (int verdict : {0, 5, 255}) {
    Buffer changed = frame;
    changed[kFrameHeaderSize + 2] = static_cast<std::uint8_t>(verdict);
    CHECK_FALSE(decode_welcome(payload_of(changed)).ok());
  }
  Buffer nameless(frame.begin() + kFrameHeaderSize, frame.begin() + kFrameHeaderSize + 13);
  CHECK_FALSE(decode_welcome(nameless).ok());
}

TEST_CASE("TABLE with unknown flags is refused") {
  Buffer frame = golden("table");
  frame[kFrameHeaderSize] = 2;
  CHECK_FALSE(decode_table(payload_of(frame)).ok());
}

TEST_CASE("OPEN with a bad address, limit or service name is refused") {
  Buffer frame = golden("open");
  Buffer family = frame;
  family[kFrameHeaderSize + 16] = 5;
  CHECK_FALSE(decode_open(payload_of(family)).ok());
  Buffer limit = frame;
  limit[kFrameHeaderSize + 8] = 0x40;  // 2^62 and a little more
  CHECK_FALSE(decode_open(payload_of(limit)).ok());
  Buffer name = frame;
  name.back() = '/';
  CHECK_FALSE(decode_open(payload_of(name)).ok());
  Buffer length = frame;
  length[kFrameHeaderSize + 24] = 9;
  CHECK_FALSE(decode_open(payload_of(length)).ok());
}

TEST_CASE("an ACK without entries is refused") {
  CHECK_FALSE(decode_ack({}).ok());
}

TEST_CASE("a code from a newer peer reads as other") {
  Buffer frame = golden("reset");
  frame[frame.size() - 2] = 0x70;
  CHECK(decode_reset(payload_of(frame))->code == Cause::other);
}

}  // namespace holdfast
