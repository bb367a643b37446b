// path-emulator: carries packets between network namespaces. `--help` says how.
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <deque>
#include <sstream>
#include <string>
#include <vector>

#include "tests/paths/path.h"
#include "tests/paths/tun.h"

namespace holdfast::paths {
namespace {

constexpr const char* kUsage =
    "usage: path-emulator NAME:NEAR:FAR[:SEED]...\n"
    "A path between two network namespaces, a TUN device NAME in each; ready when it says so. "
    "Then\n"
    "it takes lines from its standard input and answers each with one line, until that ends:\n"
    "  NAME up|down|both KEY=VALUE...   from now on; up is from near to far. Keys: rate_kbit, "
    "fair,\n"
    "                                   queue_bytes, delay_ms, jitter_ms, loss, burst, reorder,\n"
    "                                   reorder_ms, max_packet, blocked\n"
    "  NAME answer_syns 0|1             the middlebox at the near end answers connects by itself\n"
    "  NAME stats                       counts, as JSON\n";
constexpr std::size_t kMaxPacket = 65535;
constexpr int kReadsPerTurn = 64;
// Sleeps are no shorter: at 100 Mbit/s a wake-up for each packet costs a quarter of a processor.
constexpr Nanos kShortestSleep = std::chrono::microseconds(100);

Nanos now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return std::chrono::seconds(time.tv_sec) + Nanos(time.tv_nsec);
}

struct Wire {
  std::string name;
  int near, far;
  Path path;
};

class Emulator {
 public:
  bool add(const std::string& description);
  int run();

 private:
  bool watch(int descriptor, std::uint64_t mark);
  void read(Wire& wire, bool near);
  static void write_due(Direction& direction, Nanos when, int to);
  bool read_commands();
  std::string command(const std::string& line);
  static std::string shape(Wire& wire, const std::string& way, std::istream& words);
  static std::string stats(const Wire& wire);

  int epoll_ = epoll_create1(EPOLL_CLOEXEC);
  std::deque<Wire> wires_;  // marks in epoll: twice the index, plus one for the far end
  std::string input_;
  std::array<std::uint8_t, kMaxPacket> buffer_{};
  static constexpr std::uint64_t kInput = ~0ULL;
};

bool Emulator::add(const std::string& description) {
  std::istringstream words(description);
  std::string name, near, far, seed;
  std::getline(words, name, ':');
  std::getline(words, near, ':');
  std::getline(words, far, ':');
  std::getline(words, seed);
  Result<int> near_tun = open_tun(near, name);
  Result<int> far_tun = near_tun ? open_tun(far, name) : near_tun;
  if (!far_tun) {
    std::fprintf(stderr, "path-emulator: %s\n", far_tun.error().message.c_str());
    return false;
  }
  std::uint64_t number = seed.empty() ? 1 : std::stoull(seed);
  wires_.push_back(Wire{name, *near_tun, *far_tun, Path(Shape{}, number)});
  std::uint64_t mark = (wires_.size() - 1) * 2;
  return watch(*near_tun, mark) && watch(*far_tun, mark + 1);
}

bool Emulator::watch(int descriptor, std::uint64_t mark) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = mark;
  return epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

int Emulator::run() {
  if (!watch(STDIN_FILENO, kInput)) return 1;
  std::puts("ready");
  std::fflush(stdout);
  for (;;) {
    std::optional<Nanos> next;
    for (const Wire& wire : wires_) {
      std::optional<Nanos> one = wire.path.next();
      if (one && (!next || *one < *next)) next = one;
    }
    timespec wait{};
    if (next) {
      Nanos left = std::max(kShortestSleep, *next - now());
      wait.tv_sec = left.count() / 1'000'000'000;
      wait.tv_nsec = left.count() % 1'000'000'000;
    }
    std::array<epoll_event, 16> events{};
    int count = epoll_pwait2(epoll_, events.data(), events.size(), next ? &wait : nullptr, nullptr);
    if (count < 0 && errno != EINTR) return 1;
    for (int at = 0; at < count; ++at) {
      std::uint64_t mark = events[static_cast<std::size_t>(at)].data.u64;
      if (mark == kInput) {
        if (!read_commands()) return 0;
      } else {
        read(wires_[mark / 2], mark % 2 == 0);
      }
    }
    Nanos when = now();
    for (Wire& wire : wires_) {
      write_due(wire.path.up, when, wire.far);
      write_due(wire.path.down, when, wire.near);
    }
  }
}

void Emulator::read(Wire& wire, bool near) {
  Nanos when = now();
  for (int turn = 0; turn < kReadsPerTurn; ++turn) {
    ssize_t size = ::read(near ? wire.near : wire.far, buffer_.data(), buffer_.size());
    if (size <= 0) return;  // EAGAIN, or a device that is down
    Packet packet(buffer_.begin(), buffer_.begin() + size);
    if (near) {
      wire.path.from_near(when, std::move(packet));
    } else {
      wire.path.from_far(when, std::move(packet));
    }
  }
}

void Emulator::write_due(Direction& direction, Nanos when, int to) {
  while (std::optional<Packet> packet = direction.take(when)) {
    // A device that is down takes nothing: lost, as with a cable that is pulled.
    [[maybe_unused]] ssize_t written = write(to, packet->data(), packet->size());
  }
}

bool Emulator::read_commands() {
  std::array<char, 4096> text{};
  ssize_t size = ::read(STDIN_FILENO, text.data(), text.size());
  if (size <= 0) return false;
  input_.append(text.data(), static_cast<std::size_t>(size));
  for (std::size_t end; (end = input_.find('\n')) != std::string::npos; input_.erase(0, end + 1)) {
    std::puts(command(input_.substr(0, end)).c_str());
  }
  std::fflush(stdout);
  return true;
}

std::string Emulator::command(const std::string& line) {
  std::istringstream words(line);
  std::string name, what;
  words >> name >> what;
  for (Wire& wire : wires_) {
    if (wire.name != name) continue;
    if (what == "stats") return stats(wire);
    if (what == "answer_syns") {
      bool yes = false;
      words >> yes;
      wire.path.box.answer_syns(yes);
      return words ? "ok" : "error: 0 or 1?";
    }
    return shape(wire, what, words);
  }
  return "error: no path " + name;
}

std::string Emulator::shape(Wire& wire, const std::string& way, std::istream& words) {
  if (way != "up" && way != "down" && way != "both") return "error: up, down or both?";
  Shape up = wire.path.up.shape(), down = wire.path.down.shape();
  for (std::string word; words >> word;) {
    std::size_t sign = word.find('=');
    if (sign == std::string::npos) return "error: not KEY=VALUE: " + word;
    std::string key = word.substr(0, sign), value = word.substr(sign + 1);
    if (!set(up, key, value) || !set(down, key, value)) return "error: " + word;
  }
  if (way != "down") wire.path.up.reshape(up);
  if (way != "up") wire.path.down.reshape(down);
  return "ok";
}

std::string json(const Counts& counts) {
  std::ostringstream out;
  out << "{\"packets\": " << counts.packets << ", \"bytes\": " << counts.bytes
      << ", \"queue_full\": " << counts.queue_full << ", \"lost\": " << counts.lost
      << ", \"swallowed\": " << counts.swallowed << ", \"most_queued\": " << counts.most_queued
      << "}";
  return out.str();
}

std::string Emulator::stats(const Wire& wire) {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  double cpu = static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
               static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
  std::ostringstream out;
  out << "{\"up\": " << json(wire.path.up.counts())
      << ", \"down\": " << json(wire.path.down.counts())
      << ", \"answered\": " << wire.path.box.answered() << ", \"cpu_s\": " << cpu << "}";
  return out.str();
}

int main(int count, char** words) {
  if (count < 2 || std::strcmp(words[1], "--help") == 0) {
    std::fputs(kUsage, count < 2 ? stderr : stdout);
    return count < 2 ? 64 : 0;
  }
  prctl(PR_SET_TIMERSLACK, 1);  // the usual 50 µs are four packets at 1 Gbit/s
  Emulator emulator;
  for (int at = 1; at < count; ++at) {
    if (!emulator.add(words[at])) return 1;
  }
  return emulator.run();
}

}  // namespace
}  // namespace holdfast::paths

int main(int count, char** words) {
  return holdfast::paths::main(count, words);
}
