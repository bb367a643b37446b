// A direction of the emulated path, under a clock of the test's own.
#include "tests/paths/direction.h"

#include <map>

#include "tests/catch.h"

namespace holdfast::paths {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kFull = 1500;

// An IPv4 packet of UDP, whose source port tells its flow; `number` is in its identification.
Packet packet(std::uint16_t port, std::size_t size = kFull, std::uint16_t number = 0) {
  Packet out(size, 0);
  out[0] = 0x45;
  out[4] = static_cast<std::uint8_t>(number >> 8);
  out[5] = static_cast<std::uint8_t>(number);
  out[9] = 17;
  out[20] = static_cast<std::uint8_t>(port >> 8);
  out[21] = static_cast<std::uint8_t>(port);
  return out;
}

int port_of(const Packet& packet) {
  return packet[20] << 8 | packet[21];
}
int number_of(const Packet& packet) {
  return packet[4] << 8 | packet[5];
}

std::vector<Packet> take_all(Direction& direction, Nanos now) {
  std::vector<Packet> out;
  while (std::optional<Packet> next = direction.take(now)) out.push_back(std::move(*next));
  return out;
}

Shape slow(double kbit) {
  Shape shape;
  shape.bits_s = kbit * 1000;
  return shape;
}

TEST_CASE("a path without a bottleneck hands on at once and in order") {
  Direction path(Shape{}, 1);
  for (std::uint16_t n = 0; n < 10; ++n) path.offer(Nanos(0), packet(1, kFull, n));
  std::vector<Packet> out = take_all(path, Nanos(0));
  REQUIRE(out.size() == 10);
  for (int n = 0; n < 10; ++n) CHECK(number_of(out[static_cast<std::size_t>(n)]) == n);
  CHECK(!path.next());
}

TEST_CASE("the rate is that of whole packets, however late somebody looks") {
  for (milliseconds step : {milliseconds(1), milliseconds(7), milliseconds(100)}) {
    Shape shape = slow(1200);  // 1500 bytes: 10 ms
    Direction path(shape, 1);
    std::size_t out = 0;
    for (Nanos now{}; now <= seconds(10); now += step) {
      for (int n = 0; n < 20; ++n) path.offer(now, packet(1));
      out += take_all(path, now).size();
    }
    CHECK(out >= 999);
    CHECK(out <= 1001);
  }
}

TEST_CASE("a packet that comes to an idle bottleneck takes its own time only") {
  Direction path(slow(1200), 1);
  path.offer(seconds(5), packet(1));
  CHECK(path.next() == seconds(5) + milliseconds(10));
  CHECK(take_all(path, seconds(5) + milliseconds(9)).empty());
  CHECK(take_all(path, seconds(5) + milliseconds(10)).size() == 1);
}

TEST_CASE("what the queue has no room for is lost, the newest first") {
  Shape shape = slow(12);  // a second for a packet
  shape.queue_bytes = 10 * kFull;
  Direction path(shape, 1);
  for (std::uint16_t n = 0; n < 30; ++n) path.offer(Nanos(0), packet(1, kFull, n));
  CHECK(path.counts().queue_full == 19);  // one passes the bottleneck, ten wait
  CHECK(path.counts().most_queued == 10 * kFull);
  std::vector<Packet> out = take_all(path, seconds(60));
  REQUIRE(out.size() == 11);
  CHECK(number_of(out.back()) == 10);
}

TEST_CASE("a queue limit below a packet still passes single packets") {
  Shape shape = slow(1200);
  shape.queue_bytes = 100;
  Direction path(shape, 1);
  path.offer(Nanos(0), packet(1));
  path.offer(seconds(1), packet(1));
  CHECK(take_all(path, seconds(2)).size() == 2);
}

TEST_CASE("a shared queue makes a lone packet wait behind all of another flow") {
  Direction path(slow(1200), 1);
  for (int n = 0; n < 40; ++n) path.offer(Nanos(0), packet(1));
  path.offer(Nanos(0), packet(2));
  CHECK(port_of(take_all(path, milliseconds(410)).back()) == 2);
  CHECK(path.counts().packets == 41);
}

TEST_CASE("with a queue for each flow a lone packet waits for one packet of another's") {
  Shape shape = slow(1200);
  shape.per_flow = true;
  Direction path(shape, 1);
  for (int n = 0; n < 40; ++n) path.offer(Nanos(0), packet(1));
  path.offer(Nanos(0), packet(2, 100));
  std::vector<Packet> out = take_all(path, milliseconds(25));
  REQUIRE(out.size() >= 2);
  CHECK((port_of(out[1]) == 2 || port_of(out[2]) == 2));
}

TEST_CASE(
    "flows with a queue each have equal shares, whatever each offers and however large its "
    "packets") {
  Shape shape = slow(10'000);
  shape.per_flow = true;
  Direction path(shape, 1);
  std::map<int, std::size_t> bytes;
  for (Nanos now{}; now < seconds(5); now += milliseconds(1)) {
    for (int n = 0; n < 10; ++n) path.offer(now, packet(1));
    for (int n = 0; n < 2; ++n) path.offer(now, packet(2));
    for (int n = 0; n < 10; ++n) path.offer(now, packet(3, 300));
    for (const Packet& each : take_all(path, now)) bytes[port_of(each)] += each.size();
  }
  double third = 10e6 / 8 * 5 / 3;
  for (int port : {1, 2, 3}) CHECK(static_cast<double>(bytes[port]) == Approx(third).epsilon(0.02));
}

TEST_CASE("a flow's full queue loses no packet of another flow") {
  Shape shape = slow(100);
  shape.per_flow = true;
  shape.queue_bytes = 5 * kFull;
  Direction path(shape, 1);
  for (int n = 0; n < 50; ++n) path.offer(Nanos(0), packet(1));
  std::uint64_t lost = path.counts().queue_full;
  path.offer(Nanos(0), packet(2));
  CHECK(lost >= 40);
  CHECK(path.counts().queue_full == lost);
}

// Which of `count` packets came through.
std::vector<bool> through(const Shape& shape, int count, std::uint64_t seed) {
  Direction path(shape, seed);
  std::vector<bool> out(static_cast<std::size_t>(count), false);
  for (int n = 0; n < count; ++n) {
    path.offer(Nanos(n), packet(1, kFull));
    if (path.take(Nanos(n))) out[static_cast<std::size_t>(n)] = true;
  }
  return out;
}

double mean_burst(const std::vector<bool>& through) {
  double lost = 0, bursts = 0;
  bool before = true;
  for (bool passed : through) {
    if (!passed) ++lost;
    if (!passed && before) ++bursts;
    before = passed;
  }
  return lost / bursts;
}

TEST_CASE("loss by chance takes its share, mostly of single packets") {
  Shape shape;
  shape.loss = 0.02;
  std::vector<bool> passed = through(shape, 200'000, 7);
  double lost = static_cast<double>(std::count(passed.begin(), passed.end(), false)) / 200'000;
  CHECK(lost == Approx(0.02).epsilon(0.05));
  CHECK(mean_burst(passed) < 1.1);
}

TEST_CASE("loss in bursts takes the same share, in rows of the wanted mean length") {
  Shape shape;
  shape.loss = 0.02;
  shape.burst = 8;
  std::vector<bool> passed = through(shape, 400'000, 7);
  double lost = static_cast<double>(std::count(passed.begin(), passed.end(), false)) / 400'000;
  CHECK(lost == Approx(0.02).epsilon(0.12));
  CHECK(mean_burst(passed) == Approx(8).epsilon(0.12));
}

TEST_CASE("the same seed loses the same packets, another seed others") {
  Shape shape;
  shape.loss = 0.1;
  CHECK(through(shape, 1000, 3) == through(shape, 1000, 3));
  CHECK(through(shape, 1000, 3) != through(shape, 1000, 4));
}

TEST_CASE("a lost packet has used the bottleneck all the same") {
  Shape shape = slow(1200);
  shape.loss = 1;
  Direction path(shape, 1);
  path.offer(Nanos(0), packet(1));
  shape.loss = 0;
  path.reshape(shape);
  path.offer(Nanos(0), packet(1));
  CHECK(take_all(path, milliseconds(19)).empty());
  CHECK(take_all(path, milliseconds(20)).size() == 1);
}

TEST_CASE("delay adds to each packet, and jitter changes no order") {
  Shape shape;
  shape.delay = milliseconds(50);
  shape.jitter = milliseconds(20);
  Direction path(shape, 5);
  for (std::uint16_t n = 0; n < 200; ++n) path.offer(milliseconds(n), packet(1, kFull, n));
  CHECK(take_all(path, milliseconds(49)).empty());
  std::vector<Packet> out = take_all(path, milliseconds(50 + 20 + 200));
  REQUIRE(out.size() == 200);
  for (int n = 0; n < 200; ++n) CHECK(number_of(out[static_cast<std::size_t>(n)]) == n);
}

TEST_CASE("a packet that is held back is overtaken, and none is lost") {
  Shape shape;
  shape.reorder = 0.1;
  shape.reorder_by = milliseconds(5);
  Direction path(shape, 5);
  std::vector<int> order;
  for (std::uint16_t n = 0; n < 500; ++n) {
    path.offer(milliseconds(n), packet(1, kFull, n));
    for (const Packet& each : take_all(path, milliseconds(n))) order.push_back(number_of(each));
  }
  for (const Packet& each : take_all(path, seconds(1))) order.push_back(number_of(each));
  REQUIRE(order.size() == 500);
  int steps_back = 0;
  for (std::size_t n = 1; n < order.size(); ++n) steps_back += order[n] < order[n - 1] ? 1 : 0;
  CHECK(steps_back > 25);
  CHECK(steps_back < 75);
}

TEST_CASE("packets above the size vanish, smaller ones do not") {
  Shape shape;
  shape.max_packet = 1000;
  Direction path(shape, 1);
  path.offer(Nanos(0), packet(1, 1001));
  path.offer(Nanos(0), packet(1, 1000));
  CHECK(take_all(path, Nanos(0)).size() == 1);
  CHECK(path.counts().swallowed == 1);
}

TEST_CASE("what is blocked vanishes, and what was on its way before still comes") {
  Shape shape;
  shape.delay = milliseconds(10);
  Direction path(shape, 1);
  path.offer(Nanos(0), packet(1));
  shape.blocked = true;
  path.reshape(shape);
  path.offer(Nanos(0), packet(1));
  CHECK(take_all(path, seconds(1)).size() == 1);
}

TEST_CASE("every key sets its field, and nothing else is taken") {
  Shape shape;
  CHECK(set(shape, "rate_kbit", "64"));
  CHECK(shape.bits_s == 64'000);
  CHECK(set(shape, "fair", "1"));
  CHECK(shape.per_flow);
  CHECK(set(shape, "queue_bytes", "3000"));
  CHECK(shape.queue_bytes == 3000);
  CHECK(set(shape, "delay_ms", "2.5"));
  CHECK(shape.delay == std::chrono::microseconds(2500));
  CHECK(set(shape, "jitter_ms", "1"));
  CHECK(shape.jitter == milliseconds(1));
  CHECK(set(shape, "loss", "0.25"));
  CHECK(shape.loss == 0.25);
  CHECK(set(shape, "burst", "4"));
  CHECK(shape.burst == 4);
  CHECK(set(shape, "reorder", "0.5"));
  CHECK(shape.reorder == 0.5);
  CHECK(set(shape, "reorder_ms", "3"));
  CHECK(shape.reorder_by == milliseconds(3));
  CHECK(set(shape, "max_packet", "1000"));
  CHECK(shape.max_packet == 1000);
  CHECK(set(shape, "blocked", "1"));
  CHECK(shape.blocked);
  for (const char* bad : {"", "x", "-1", "1x", "nan", "inf"}) CHECK_FALSE(set(shape, "loss", bad));
  CHECK_FALSE(set(shape, "speed", "1"));
}

}  // namespace
}  // namespace holdfast::paths
