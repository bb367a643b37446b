#include "common/base/ids.h"
#include "common/base/overloaded.h"
#include "common/base/random.h"
#include "common/base/result.h"
#include "common/base/time.h"
#include "tests/catch.h"

namespace holdfast {

TEST_CASE("a connection has the same readable name at both ends") {
  LinkId link;
  for (std::size_t i = 0; i < 16; ++i) link.bytes[i] = static_cast<std::uint8_t>(0x10 * i + i);
  CHECK(link.to_string() == "00112233445566778899aabbccddeeff");
  CHECK(link.short_name() == "00112233");
  CHECK(connection_name(link, StreamId{17}) == "00112233-17");
}

TEST_CASE("ids compare by value") {
  CHECK(StreamId{1} < StreamId{2});
  CHECK(CarrierId{3} == CarrierId{3});
  CHECK(LinkId{} == LinkId{});
}

TEST_CASE("the random generator is the published splitmix64") {
  // The reference implementation's first outputs for seed 1234567.
  Random random(1234567);
  CHECK(random.next() == UINT64_C(6457827717110365317));
  CHECK(random.next() == UINT64_C(3203168211198807973));
  CHECK(random.next() == UINT64_C(9817491932198370423));
}

TEST_CASE("the same seed gives the same numbers and another seed others") {
  Random a(7);
  Random b(7);
  Random c(8);
  bool differs = false;
  for (int i = 0; i < 100; ++i) {
    std::uint64_t value = a.next();
    CHECK(b.next() == value);
    differs = differs || c.next() != value;
  }
  CHECK(differs);
}

TEST_CASE("bounded random numbers stay within their bounds and reach both ends") {
  Random random(1);
  bool low = false;
  bool high = false;
  for (int i = 0; i < 1000; ++i) {
    std::uint64_t value = random.between(3, 6);
    REQUIRE(value >= 3);
    REQUIRE(value <= 6);
    low = low || value == 3;
    high = high || value == 6;
  }
  CHECK(low);
  CHECK(high);
  CHECK(random.below(0) == 0);
}

TEST_CASE("a result is a value or a reason") {
  Result<int> good = 5;
  REQUIRE(good.ok());
  CHECK(*good == 5);
  Result<int> bad = Error{"no such file"};
  REQUIRE_FALSE(bad);
  CHECK(bad.error().message == "no such file");
  Status done = Ok{};
  CHECK(done.ok());
}

TEST_CASE("overloaded picks the lambda of the alternative") {
  std::variant<int, std::string> value = std::string("text");
  auto name = overloaded{[](int) { return "int"; }, [](const std::string&) { return "string"; }};
  CHECK(std::string(std::visit(name, value)) == "string");
  value = 1;
  CHECK(std::string(std::visit(name, value)) == "int");
}

TEST_CASE("never is later than any instant a clock can give") {
  CHECK(kNever > Time(seconds(3600LL * 24 * 366 * 1000)));
}

}  // namespace holdfast
