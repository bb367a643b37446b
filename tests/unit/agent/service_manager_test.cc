#include "common/agent/service_manager.h"

#include <poll.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <optional>
#include <thread>

#include "tests/stopwatch.h"
#include "tests/unit/support.h"

namespace holdfast {
namespace {

// A service manager's side of the notification socket; the process's environment names it.
class Manager {
 public:
  explicit Manager(const char* watchdog_us = nullptr)
      : path_("/tmp/holdfast-notify-test-" + std::to_string(getpid())),
        socket_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    SocketAddress address = *SocketAddress::unix_path(path_);
    REQUIRE(bind(socket_.get(), address.get(), address.size()) == 0);
    setenv("NOTIFY_SOCKET", path_.c_str(), 1);
    if (watchdog_us != nullptr) setenv("WATCHDOG_USEC", watchdog_us, 1);
  }
  ~Manager() {
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unlink(path_.c_str());
  }

  // The next message, or none within the time.
  std::optional<std::string> told(Duration within = seconds(5)) {
    pollfd one{socket_.get(), POLLIN, 0};
    int patience = static_cast<int>(duration_cast<milliseconds>(within).count());
    if (poll(&one, 1, patience) != 1) return std::nullopt;
    char text[4096];
    ssize_t size = recv(socket_.get(), text, sizeof text, 0);
    return std::string(text, static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  }
  // The same, pings left out.
  std::string told_but_pings() {
    while (true) {
      std::string message = told().value_or("nothing");
      if (message != "WATCHDOG=1") return message;
    }
  }
  // Nobody reads: whatever is sent from now on waits.
  void fill() {
    Descriptor sender(socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    SocketAddress address = *SocketAddress::unix_path(path_);
    while (sendto(sender.get(), "x", 1, 0, address.get(), address.size()) == 1) continue;
    REQUIRE(errno == EAGAIN);
  }

 private:
  std::string path_;
  Descriptor socket_;
};

std::unique_ptr<Logger> quiet_logger() {
  LogConfig config;
  config.file = "/dev/null";
  auto logger = Logger::open(config, "test");
  REQUIRE(logger.ok());
  return std::move(*logger);
}

#if HOLDFAST_SYSTEMD

void turn_for(Loop& loop, Duration time) {
  bool over = false;
  Timer timer(loop.timers(), [&] { over = true; });
  timer.arm(loop.refresh() + time);
  turn_until(loop, [&] { return over; });
}

TEST_CASE("Readiness comes with the status, and later only what changed is told") {
  Manager manager;
  Loop loop;
  auto logger = quiet_logger();
  std::string line = "link down, retrying";
  int asked = 0;
  ServiceManager service(loop, *logger, [&] {
    asked += 1;
    return line;
  });
  service.ready();
  std::string first = manager.told_but_pings();
  if (first == "READY=1") first += "\n" + manager.told_but_pings();
  CHECK(first == "READY=1\nSTATUS=link down, retrying");
  int before = asked;
  turn_until(loop, [&] { return asked == before + 1; });
  CHECK(manager.told(milliseconds(50)) == std::nullopt);
  line = "link up to hub-1";
  turn_until(loop, [&] { return asked == before + 2; });
  CHECK(manager.told() == "STATUS=link up to hub-1");
}

TEST_CASE("A failed reload stays in the status until one succeeds") {
  Manager manager;
  Loop loop;
  auto logger = quiet_logger();
  ServiceManager service(loop, *logger, [] { return std::string("link up to hub-1"); });
  auto collect = [&] {  // until the status came, with the states before it
    std::string all;
    while (all.find("STATUS=") == std::string::npos) all += manager.told_but_pings() + "\n";
    return all;
  };
  service.ready();
  collect();
  service.reloading();
  service.reloaded(Error{"client.toml:3: name: is missing"});
  std::string failed = collect();
  CHECK(failed.find("RELOADING=1\nMONOTONIC_USEC=") == 0);
  CHECK(failed.find("\nREADY=1") != std::string::npos);
  CHECK(failed.find("reload failed") != std::string::npos);
  CHECK(failed.find("client.toml:3: name: is missing") != std::string::npos);
  service.reloading();
  service.reloaded(Ok{});
  CHECK(collect().find("STATUS=link up to hub-1\n") != std::string::npos);
}

TEST_CASE("Text from elsewhere in the status cannot say anything else to the service manager") {
  Manager manager;
  Loop loop;
  auto logger = quiet_logger();
  ServiceManager service(loop, *logger, [] { return std::string("to a\nMAINPID=1"); });
  service.ready();
  std::string all = manager.told_but_pings();
  if (all == "READY=1") all = manager.told_but_pings();
  CHECK(all.find("STATUS=to a\\nMAINPID=1") != std::string::npos);
  CHECK(all.find("\nMAINPID") == std::string::npos);
}

TEST_CASE("An idle loop keeps the watchdog quiet, a stuck one does not") {
  Manager manager("120000");
  Loop loop;
  auto logger = quiet_logger();
  ServiceManager service(loop, *logger, [] { return std::string("idle"); });
  service.ready();
  turn_for(loop, milliseconds(400));
  int pings = 0;
  while (auto message = manager.told(Duration{})) pings += *message == "WATCHDOG=1" ? 1 : 0;
  CHECK(pings >= 4);  // one in 40 ms
  // Nothing turns the loop now. One ping may be on its way, and one may still tell of the last
  // turn.
  int late = 0;
  while (auto message = manager.told(milliseconds(300))) late += *message == "WATCHDOG=1" ? 1 : 0;
  CHECK(late <= 2);
  turn_for(loop, milliseconds(100));
  CHECK(manager.told(Duration{}) == "WATCHDOG=1");
}

TEST_CASE("A service manager that hangs holds up neither the loop nor the end") {
  Manager manager;
  manager.fill();
  const test::Stopwatch start;
  {
    Loop loop;
    auto logger = quiet_logger();
    int asked = 0;
    ServiceManager service(loop, *logger, [&] { return std::to_string(asked += 1); });
    service.ready();
    for (int i = 0; i < 200; ++i) {
      service.reloading();
      service.reloaded(Ok{});
    }
    turn_until(loop, [&] { return asked > 200; });
    service.stopping();
  }
  CHECK(start.passed() < std::chrono::seconds(2));
}

#else

TEST_CASE("Without libsystemd a service manager that wants to be told is told nothing") {
  Manager manager("1000000");
  auto logger = quiet_logger();
  Loop loop;
  ServiceManager service(loop, *logger, [] { return "up"; });
  service.ready();
  service.stopping();
  CHECK(manager.told(milliseconds(50)) == std::nullopt);
}

#endif  // HOLDFAST_SYSTEMD

TEST_CASE("Without a service manager nobody is asked") {
  Loop loop;
  auto logger = quiet_logger();
  bool asked = false;
  ServiceManager service(loop, *logger, [&] {
    asked = true;
    return std::string();
  });
  service.ready();
  service.reloading();
  service.reloaded(Ok{});
  service.stopping();
  CHECK_FALSE(asked);
}

}  // namespace
}  // namespace holdfast
