// The codec against tests/golden/*.hex: what goes out, and what is read from it.
#include "tests/catch.h"
#include "tests/unit/wire/support.h"

namespace holdfast {
namespace {

using namespace test;

LinkId sample_link() {
  LinkId link;
  for (std::size_t i = 0; i < link.bytes.size(); ++i) {
    link.bytes[i] = static_cast<std::uint8_t>(0xa0 + i);
  }
  return link;
}

Hello sample_hello() {
  Hello hello;
  hello.link = sample_link();
  hello.instance = 0x1122334455667788;
  hello.attempt = 7;
  hello.name = "edge-1";
  hello.slot = 3;
  hello.start_id = 0x0102030405060708;
  hello.ordinal = 2;
  return hello;
}

Hello marking_hello() {
  Hello hello = sample_hello();
  for (std::uint8_t i = 0; i < 16; ++i) hello.mark_key[i] = static_cast<std::uint8_t>(0xc0 + i);
  return hello;
}

Welcome sample_welcome() {
  Welcome welcome;
  welcome.verdict = Verdict::resumed;
  welcome.instance = 0x1122334455667788;
  welcome.server = "gate.example";
  welcome.grace = seconds(300);
  welcome.heartbeat = seconds(1);
  welcome.dead_after = seconds(15);
  welcome.max_streams = 10000;
  welcome.initial_credit = 4096;
  welcome.services = {{"postgres", seconds(600)}};
  return welcome;
}

Open sample_open() {
  Open open;
  open.id = StreamId{5};
  open.limit = 65536;
  open.source = {EndpointFamily::ipv4, {192, 0, 2, 1}, 51000};
  open.service = "postgres";
  return open;
}

Open sample_intercepted() {
  Open open;
  open.id = StreamId{6};
  open.limit = 4096;
  open.source = {EndpointFamily::unix_socket, {}, 0};
  open.destination = {EndpointFamily::ipv6, {0x20, 0x01, 0x0d, 0xb8}, 443};
  open.destination.address[15] = 1;
  return open;
}

std::vector<TableEntry> sample_table() {
  return {{StreamId{2}, 1000, 900, 65536, true}, {StreamId{9}, 0, 0, 4096, false}};
}

Welcome granting_welcome() {
  Welcome welcome;
  welcome.instance = 0x1122334455667788;
  welcome.server = "gate";
  welcome.grace = seconds(300);
  welcome.grants.emplace();
  welcome.grants->destinations = true;
  welcome.grants->services = {{"web", seconds(300)}, {"postgres", seconds(600)}};
  return welcome;
}

Welcome homed_welcome() {
  Welcome welcome;
  welcome.instance = 0x1122334455667788;
  welcome.server = "gate";
  welcome.grace = seconds(300);
  welcome.home = {"hub-1.example", "192.0.2.1:7443"};
  return welcome;
}

Welcome refused_welcome() {
  Welcome welcome;
  welcome.verdict = Verdict::refused;
  welcome.code = Cause::duplicate_name;
  welcome.server = "gate";
  welcome.retry_after = seconds(2);
  return welcome;
}

}  // namespace

TEST_CASE("every frame is encoded to its golden bytes") {
  struct Row {
    const char* name;
    Buffer frame;
  };
  DataHeader data{StreamId{5}, 4096, 77, 69632, 5};
  std::vector<Row> rows = {
      {"hello", hello_frame(sample_hello())},
      {"hello_marks", hello_frame(marking_hello())},
      {"welcome", welcome_frame(sample_welcome())},
      {"welcome_grants", welcome_frame(granting_welcome())},
      {"welcome_home", welcome_frame(homed_welcome())},
      {"welcome_refused", welcome_frame(refused_welcome())},
      {"table", table_frames(9, sample_table())},
      {"table_empty", table_frames(0, {})},
      {"open", small_frame([](MutableBytes to) { return encode_open(to, sample_open()); })},
      {"open_intercepted",
       small_frame([](MutableBytes to) { return encode_open(to, sample_intercepted()); })},
      {"opened", opened_frame(5)},
      {"data", data_frame(data, "hello")},
      {"fin", fin_frame(5, 4101)},
      {"abort", abort_frame(5, 4101, Cause::client_rst)},
      {"reset", reset_frame(5, Cause::admin_kill)},
      {"ack", ack_frame({{StreamId{5}, 4102, 1048576}, {StreamId{9}, 0, kMaxLimit}})},
      {"ping", ping_frame(0xdeadbeef01020304)},
      {"pong", pong_frame(0xdeadbeef01020304)},
      {"drain", drain_frame()},
      {"goodbye", goodbye_frame(Cause::shutdown)},
      {"services_down", services_down_frame({"web", "postgres"})},
      {"origin", origin_frame(5, 0x0123456789abcdef)},
  };
  for (const Row& row : rows) {
    INFO(row.name);
    Buffer expected = golden(row.name);
    REQUIRE(!expected.empty());
    CHECK(hex(row.frame) == hex(expected));
  }
}

TEST_CASE("every golden file belongs to a frame that the tests know") {
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(golden_folder())) {
    if (entry.path().extension() == ".hex") files += 1;
  }
  CHECK(files == 22);
}

TEST_CASE("HELLO is read back from its golden bytes") {
  Buffer frame = golden("hello");
  auto hello = decode_hello(payload_of(frame));
  REQUIRE(hello.ok());
  CHECK(hello->version_min == 1);
  CHECK(hello->version_max == 1);
  CHECK(hello->link == sample_link());
  CHECK(hello->link.to_string() == "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf");
  CHECK(hello->instance == 0x1122334455667788);
  CHECK(hello->attempt == 7);
  CHECK(hello->name == "edge-1");
  CHECK(hello->slot == 3);
  CHECK(hello->start_id == 0x0102030405060708);
  CHECK(hello->ordinal == 2);
  CHECK(hello->features == 0);
  CHECK(hello->mark_key == MarkKey{});
  CHECK(decode_hello(payload_of(golden("hello_marks")))->mark_key == marking_hello().mark_key);
}

TEST_CASE("grants are read back from their golden bytes") {
  auto welcome = decode_welcome(payload_of(golden("welcome_grants")));
  REQUIRE(welcome.ok());
  REQUIRE(welcome->grants);
  CHECK(welcome->grants->whole);
  CHECK(welcome->grants->destinations);
  REQUIRE(welcome->grants->services.size() == 2);
  CHECK(welcome->grants->services[0].service == "web");
  CHECK(welcome->grants->services[1].service == "postgres");
  CHECK(welcome->grants->services[1].grace == seconds(600));
  CHECK_FALSE(decode_welcome(payload_of(golden("welcome")))->grants);
}

TEST_CASE("a home is read back from its golden bytes") {
  auto welcome = decode_welcome(payload_of(golden("welcome_home")));
  REQUIRE(welcome.ok());
  CHECK(welcome->home == homed_welcome().home);
  CHECK(decode_welcome(payload_of(golden("welcome")))->home == Home{});
}

TEST_CASE("WELCOME is read back from its golden bytes") {
  Buffer frame = golden("welcome");
  auto welcome = decode_welcome(payload_of(frame));
  REQUIRE(welcome.ok());
  CHECK(welcome->version == 1);
  CHECK(welcome->verdict == Verdict::resumed);
  CHECK(welcome->code == Cause::none);
  CHECK(welcome->instance == 0x1122334455667788);
  CHECK(welcome->server == "gate.example");
  CHECK(welcome->retry_after == Duration{});
  CHECK(welcome->grace == seconds(300));
  CHECK(welcome->heartbeat == seconds(1));
  CHECK(welcome->dead_after == seconds(15));
  CHECK(welcome->max_streams == 10000);
  CHECK(welcome->initial_credit == 4096);
  REQUIRE(welcome->services.size() == 1);
  CHECK(welcome->services[0].service == "postgres");
  CHECK(welcome->services[0].grace == seconds(600));

  Buffer refused = golden("welcome_refused");
  auto no = decode_welcome(payload_of(refused));
  REQUIRE(no.ok());
  CHECK(no->verdict == Verdict::refused);
  CHECK(no->code == Cause::duplicate_name);
  CHECK(no->retry_after == seconds(2));
}

TEST_CASE("TABLE is read back from its golden bytes") {
  Buffer frame = golden("table");
  auto chunk = decode_table(payload_of(frame));
  REQUIRE(chunk.ok());
  CHECK(chunk->last);
  CHECK(chunk->highest == StreamId{9});
  REQUIRE(chunk->count() == 2);
  TableEntry first = chunk->entry(0);
  CHECK(first.id == StreamId{2});
  CHECK(first.received == 1000);
  CHECK(first.delivered == 900);
  CHECK(first.limit == 65536);
  CHECK(first.opened);
  CHECK(chunk->entry(1).id == StreamId{9});
  CHECK_FALSE(chunk->entry(1).opened);
}

TEST_CASE("OPEN is read back from its golden bytes") {
  Buffer frame = golden("open");
  auto open = decode_open(payload_of(frame));
  REQUIRE(open.ok());
  CHECK(open->id == StreamId{5});
  CHECK(open->limit == 65536);
  CHECK(open->service == "postgres");
  CHECK(open->source.to_string() == "192.0.2.1:51000");
  CHECK(open->destination == Endpoint{});

  Buffer intercepted = golden("open_intercepted");
  auto other = decode_open(payload_of(intercepted));
  REQUIRE(other.ok());
  CHECK(other->service.empty());
  CHECK(other->source.to_string() == "unix");
  CHECK(other->destination.to_string() == "[2001:db8::1]:443");
}

TEST_CASE("the small frames are read back from their golden bytes") {
  Buffer fin = golden("fin");
  CHECK(decode_fin(payload_of(fin))->offset == 4101);
  Buffer abort = golden("abort");
  CHECK(decode_abort(payload_of(abort))->offset == 4101);
  CHECK(decode_abort(payload_of(abort))->code == Cause::client_rst);
  Buffer reset = golden("reset");
  CHECK(decode_reset(payload_of(reset))->code == Cause::admin_kill);
  Buffer opened = golden("opened");
  CHECK(decode_opened(payload_of(opened))->id == StreamId{5});
  Buffer ack = golden("ack");
  auto acks = decode_ack(payload_of(ack));
  REQUIRE(acks.ok());
  REQUIRE(acks->count() == 2);
  CHECK(acks->entry(0).ack == 4102);
  CHECK(acks->entry(1).limit == kMaxLimit);
  Buffer ping = golden("ping");
  CHECK(decode_ping(payload_of(ping))->token == 0xdeadbeef01020304);
  Buffer origin = golden("origin");
  CHECK(decode_origin(payload_of(origin))->id == StreamId{5});
  CHECK(decode_origin(payload_of(origin))->mark == 0x0123456789abcdef);
  Buffer down = golden("services_down");
  CHECK(decode_services_down(payload_of(down))->names ==
        std::vector<std::string_view>{"web", "postgres"});
  Buffer goodbye = golden("goodbye");
  CHECK(decode_goodbye(payload_of(goodbye))->reason == Cause::shutdown);
  Buffer data = golden("data");
  DataHeader header = decode_data_header(payload_of(data).data(), data.size() - kFrameHeaderSize);
  CHECK(header.id == StreamId{5});
  CHECK(header.offset == 4096);
  CHECK(header.ack == 77);
  CHECK(header.limit == 69632);
  CHECK(header.length == 5);
}

TEST_CASE("a table larger than one frame is cut into chunks with only the last one marked") {
  std::vector<TableEntry> entries;
  for (std::uint64_t id = 1; id <= 2 * kMaxTableEntries + 1; ++id) {
    entries.push_back({StreamId{id}, id * 3, id * 2, id * 10, id % 2 == 0});
  }
  Buffer bytes = table_frames(5000, entries);
  FrameReader reader;
  reader.feed(bytes);
  std::vector<TableEntry> seen;
  std::vector<bool> lasts;
  while (true) {
    auto item = reader.next();
    auto* frame = std::get_if<FrameReader::ControlFrame>(&item);
    if (frame == nullptr) break;
    REQUIRE(frame->type == FrameType::table);
    CHECK(frame->payload.size() <= kMaxControlPayload);
    auto chunk = decode_table(frame->payload);
    REQUIRE(chunk.ok());
    CHECK(chunk->highest == StreamId{5000});
    lasts.push_back(chunk->last);
    for (std::size_t i = 0; i < chunk->count(); ++i) seen.push_back(chunk->entry(i));
  }
  CHECK(lasts == std::vector<bool>{false, false, true});
  REQUIRE(seen.size() == entries.size());
  for (std::size_t i = 0; i < seen.size(); ++i) {
    CHECK(seen[i].id == entries[i].id);
    CHECK(seen[i].received == entries[i].received);
    CHECK(seen[i].delivered == entries[i].delivered);
    CHECK(seen[i].limit == entries[i].limit);
    CHECK(seen[i].opened == entries[i].opened);
  }
}

TEST_CASE("every cause has a name of its own and survives the wire") {
  std::vector<std::string> names;
  for (std::uint16_t code = 0; code <= static_cast<std::uint16_t>(Cause::source_failed); ++code) {
    Cause cause = cause_from_code(code);
    INFO(code);
    CHECK(static_cast<std::uint16_t>(cause) == code);
    names.emplace_back(to_string(cause));
    CHECK(names.back() != "other");
  }
  std::sort(names.begin(), names.end());
  CHECK(std::adjacent_find(names.begin(), names.end()) == names.end());
  CHECK(cause_from_code(static_cast<std::uint16_t>(Cause::state_lost) + 1) == Cause::other);
  CHECK(cause_from_code(0xffff) == Cause::other);
  CHECK(to_string(Cause::other) == "other");
}

}  // namespace holdfast
