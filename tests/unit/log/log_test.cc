#include "common/log/log.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <chrono>

#include "tests/catch.h"
#include "tests/stopwatch.h"
#include "tests/unit/folder.h"

namespace holdfast {
namespace {

LogConfig to_file(const std::string& path, LogLevel level = LogLevel::info) {
  LogConfig config;
  config.file = path;
  config.level = level;
  return config;
}

std::unique_ptr<Logger> open_log(const LogConfig& config) {
  auto logger = Logger::open(config, "holdfast-test");
  REQUIRE(logger.ok());
  return std::move(*logger);
}

std::size_t count(const std::string& text, const std::string& word) {
  std::size_t found = 0;
  for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++found;
  return found;
}

TEST_CASE("events reach the file in order, one a line") {
  Folder folder;
  auto log = open_log(to_file(folder / "log"));
  for (int i = 0; i < 100; ++i) log->event(LogLevel::info, "link_up", {{"n", i}});
  REQUIRE(log->flush(seconds(5)));
  std::string text = read_text(folder / "log");
  CHECK(count(text, "\n") == 100);
  CHECK(text.find("event=link_up n=0\n") < text.find("event=link_up n=99\n"));
  CHECK(log->dropped() == 0);
}

TEST_CASE("what is queued is written before the log closes") {
  Folder folder;
  {
    auto log = open_log(to_file(folder / "log"));
    for (int i = 0; i < 1000; ++i) log->event(LogLevel::info, "x");
  }
  CHECK(count(read_text(folder / "log"), "\n") == 1000);
}

TEST_CASE("the level decides and can be changed") {
  Folder folder;
  auto log = open_log(to_file(folder / "log", LogLevel::warn));
  CHECK_FALSE(log->enabled(LogLevel::info));
  log->event(LogLevel::info, "unseen");
  log->event(LogLevel::error, "seen");
  log->set_level(LogLevel::debug);
  log->event(LogLevel::debug, "seen_later");
  log->event(LogLevel::trace, "unseen_still");
  REQUIRE(log->flush(seconds(5)));
  std::string text = read_text(folder / "log");
  CHECK(count(text, "unseen") == 0);
  CHECK(count(text, "event=seen") == 2);
}

// Files of this process may not grow beyond `bytes`, as on a disk that is full.
class SmallDisk {
 public:
  explicit SmallDisk(rlim_t bytes) : before_handler_(::signal(SIGXFSZ, SIG_IGN)) {
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before_) == 0);
    rlimit limit{bytes, before_.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
  }
  ~SmallDisk() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    ::signal(SIGXFSZ, before_handler_);
  }

 private:
  void (*before_handler_)(int);
  rlimit before_{};
};

TEST_CASE("a full disk loses lines, counts them, and says so once when there is room again") {
  for (LogFormat format : {LogFormat::text, LogFormat::json}) {
    Folder folder;
    LogConfig config = to_file(folder / "log");
    config.format = format;
    auto log = open_log(config);
    {
      SmallDisk disk(1000);
      for (int i = 0; i < 100; ++i) log->event(LogLevel::info, "x", {{"n", i}});
      REQUIRE(log->flush(seconds(5)));
    }
    std::uint64_t dropped = log->dropped();
    CHECK(dropped > 50);
    for (int i = 0; i < 3; ++i) log->event(LogLevel::info, "after", {{"n", i}});
    REQUIRE(log->flush(seconds(5)));
    CHECK(log->dropped() == dropped);
    std::string text = read_text(folder / "log");
    bool json = format == LogFormat::json;
    CHECK(count(text, "log_lines_dropped") == 1);
    CHECK(count(text, (json ? "\"lines\":" : "lines=") + std::to_string(dropped)) == 1);
    // The line that was cut where the disk ended is the only one that is not whole.
    CHECK(count(text, json ? "\n{\"time" : "\n20") + 1 == count(text, "\n"));
    CHECK(count(text, "after") == 3);
    CHECK(100 - dropped + 1 + 1 + 3 == count(text, "\n"));
  }
}

TEST_CASE("log levels have names, and a mistyped one its nearest") {
  for (const char* name : {"error", "warn", "info", "debug", "trace"}) {
    REQUIRE(log_level_from(name).has_value());
    CHECK(std::string(to_string(*log_level_from(name))) == name);
  }
  CHECK_FALSE(log_level_from("INFO").has_value());
  CHECK_FALSE(log_level_from("").has_value());
  CHECK(unknown_log_level("wran") == "unknown log level \"wran\"; did you mean \"warn\"?");
}

TEST_CASE("JSON lines are written when asked for") {
  Folder folder;
  LogConfig config = to_file(folder / "log");
  config.format = LogFormat::json;
  auto log = open_log(config);
  log->event(LogLevel::info, "link_up", {{"peer", "home"}});
  REQUIRE(log->flush(seconds(5)));
  std::string text = read_text(folder / "log");
  CHECK(text.front() == '{');
  CHECK(count(text, R"("event":"link_up","peer":"home"})") == 1);
}

TEST_CASE("without a journal its format falls back to text") {
  if (::access("/run/systemd/journal/socket", W_OK) == 0) return;  // then nothing falls back
  Folder folder;
  LogConfig config = to_file(folder / "log");
  config.format = LogFormat::journal;
  auto log = open_log(config);
  log->event(LogLevel::info, "link_up");
  REQUIRE(log->flush(seconds(5)));
  CHECK(count(read_text(folder / "log"), "info event=link_up\n") == 1);
}

TEST_CASE("after a rotation reopen writes to a new file") {
  Folder folder;
  auto log = open_log(to_file(folder / "log"));
  log->event(LogLevel::info, "before");
  REQUIRE(log->flush(seconds(5)));
  std::filesystem::rename(folder / "log", folder / "log.1");
  REQUIRE(log->reopen().ok());
  log->event(LogLevel::info, "after");
  REQUIRE(log->flush(seconds(5)));
  CHECK(count(read_text(folder / "log.1"), "event=before") == 1);
  CHECK(count(read_text(folder / "log"), "event=after") == 1);
  CHECK(count(read_text(folder / "log"), "event=before") == 0);
}

TEST_CASE("a file that cannot be opened is an error that names it") {
  Folder folder;
  auto log = Logger::open(to_file(folder / "no/such/log"), "holdfast-test");
  REQUIRE_FALSE(log.ok());
  CHECK(count(log.error().message, folder / "no/such/log") == 1);
}

TEST_CASE("strangers cannot fill the log") {
  Folder folder;
  auto log = open_log(to_file(folder / "log"));
  for (int i = 0; i < 1000; ++i) log->stranger(LogLevel::info, "carrier_refused", {{"n", i}});
  log->event(LogLevel::info, "link_up");
  REQUIRE(log->flush(seconds(5)));
  std::string text = read_text(folder / "log");
  CHECK(count(text, "event=carrier_refused") == Logger::kStrangerLines);
  CHECK(count(text, "event=link_up") == 1);
}

TEST_CASE("a peer's connections cannot fill the log, and hold back no other's") {
  Folder folder;
  LogConfig config = to_file(folder / "log");
  config.connection_lines = 3;
  auto log = open_log(config);
  int written = 0;
  for (int i = 0; i < 1000; ++i) written += log->connection_line("evil") ? 1 : 0;
  CHECK(written >= 3);
  CHECK(written <= 6);  // a second may have begun in between
  CHECK(log->connection_line("good"));
  log->set_connection_lines(2000);
  CHECK(log->connection_line("evil"));
  usleep(1'100'000);
  CHECK(log->connection_line("evil"));
  REQUIRE(log->flush(seconds(5)));
  std::string text = read_text(folder / "log");
  CHECK(count(text, "warn event=connection_lines_suppressed peer=evil lines=99") >= 1);
  CHECK(count(text, "peer=good") == 0);
}

TEST_CASE("equal failures of one service are summed up, and hold back no others") {
  Folder folder;
  auto log = open_log(to_file(folder / "log"));
  int written = 0;
  for (int i = 0; i < 1000; ++i) {
    written += log->failure_line("hub", "db", "target_refused") ? 1 : 0;
  }
  CHECK(written == Logger::kFailureLines);
  CHECK(log->failure_line("hub", "db", "target_timeout"));
  CHECK(log->failure_line("hub", "web", "target_refused"));
  CHECK(log->failure_line("edge", "db", "target_refused"));
  usleep(10'100'000);
  CHECK(log->failure_line("hub", "db", "target_refused"));
  REQUIRE(log->flush(seconds(5)));
  std::string text = read_text(folder / "log");
  CHECK(count(text,
              "info event=connection_failures service=db peer=hub cause=target_refused "
              "count=990") == 1);
  CHECK(count(text, "connection_failures") == 1);
}

TEST_CASE("what was left out is told though no line follows") {
  Folder folder;
  LogConfig config = to_file(folder / "log");
  config.connection_lines = 1;
  auto log = open_log(config);
  CHECK(log->connection_line("evil"));
  CHECK_FALSE(log->connection_line("evil"));
  usleep(1'100'000);
  log->report_suppressed();
  REQUIRE(log->flush(seconds(5)));
  CHECK(count(read_text(folder / "log"), "suppressed peer=evil lines=1") == 1);
}

// A pipe that nobody reads, and that is full soon.
struct StuckPipe {
  explicit StuckPipe(const std::string& path) {
    HOLDFAST_CHECK(::mkfifo(path.c_str(), 0600) == 0);
    reader = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  }
  ~StuckPipe() { ::close(reader); }
  std::string drain() const {
    std::string out;
    char buffer[65536];
    pollfd entry{reader, POLLIN, 0};
    while (::poll(&entry, 1, 200) > 0) {
      ssize_t size = ::read(reader, buffer, sizeof buffer);
      if (size <= 0) break;
      out.append(buffer, static_cast<std::size_t>(size));
    }
    return out;
  }
  int reader = -1;
};

TEST_CASE("a reader that stalls never blocks the caller and what is lost is counted") {
  Folder folder;
  StuckPipe pipe(folder / "pipe");
  auto log = open_log(to_file(folder / "pipe"));
  const test::Stopwatch start;
  constexpr std::uint64_t kLines = 20000;
  for (std::uint64_t i = 0; i < kLines; ++i) log->event(LogLevel::info, "x", {{"n", i}});
  CHECK(start.passed() < std::chrono::seconds(5));
  CHECK(log->dropped() > 0);
  CHECK_FALSE(log->flush(milliseconds(10)));
  SECTION("the newest lines come once it reads again") {
    std::string text;
    for (int i = 0; i < 200 && count(text, "n=19999\n") == 0; ++i) text += pipe.drain();
    REQUIRE(log->flush(seconds(5)));
    CHECK(count(text, "n=19999\n") == 1);
    CHECK(count(text, "event=log_lines_dropped lines=") == 1);
    CHECK(count(text, "event=x ") + log->dropped() == kLines);
  }
  SECTION("closing gives up soon") {
    const test::Stopwatch closing;
    log.reset();
    CHECK(closing.passed() < std::chrono::seconds(2));
  }
}

TEST_CASE("finished lines pass as they are") {
  Folder folder;
  auto log = open_log(to_file(folder / "trace", LogLevel::error));
  log->line(R"({"t":1.0})");
  REQUIRE(log->flush(seconds(5)));
  CHECK(read_text(folder / "trace") == "{\"t\":1.0}\n");
}

}  // namespace
}  // namespace holdfast
