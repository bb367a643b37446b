#include "common/log/log.h"

#include <signal.h>
#include <spdlog/async_logger.h>
#include <spdlog/details/thread_pool.h>
#include <spdlog/sinks/sink.h>
#include <sys/uio.h>
#if HOLDFAST_SYSTEMD
// Else sd_journal_sendv() adds CODE_FILE= and its fellows: our source tree, not what happened.
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>
#endif

#include <condition_variable>
#include <ctime>
#include <map>
#include <mutex>

#include "common/base/host_refused.h"
#include "common/base/with_systemd.h"
#include "common/config/nearest.h"
#include "common/log/line_writer.h"
#include "common/log/log_format.h"
#include "common/log/rate_limiter.h"

namespace holdfast {
namespace {

// Lines that may wait. spdlog keeps that many messages of some 400 bytes: 1.6 MiB.
constexpr std::size_t kQueueLines = 4096;
constexpr std::int64_t kExitPatience_ms = 500;
constexpr std::int64_t kTellInterval_ms = 10000;
constexpr LogLevel kAllLevels[] = {LogLevel::error, LogLevel::warn, LogLevel::info, LogLevel::debug,
                                   LogLevel::trace};
constexpr char kJournalSocket[] = "/run/systemd/journal/socket";
// Set in the level of a message: the payload is journal fields, separated by zeros.
constexpr auto kPlainLine = spdlog::level::info;
constexpr auto kJournalLine = spdlog::level::critical;

std::int64_t clock_us(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1000000 + now.tv_nsec / 1000;
}
Time boot_time() {
  return Time(Duration(clock_us(CLOCK_BOOTTIME)));
}

bool send_to_journal([[maybe_unused]] std::string_view fields) {
#if HOLDFAST_SYSTEMD
  std::vector<iovec> parts;
  while (!fields.empty()) {
    std::string_view field = fields.substr(0, fields.find('\0'));
    parts.push_back({const_cast<char*>(field.data()), field.size()});
    fields.remove_prefix(std::min(field.size() + 1, fields.size()));
  }
  return sd_journal_sendv(parts.data(), static_cast<int>(parts.size())) >= 0;
#else
  return false;
#endif
}

std::string_view journal_message(std::string_view fields) {
  std::string_view message = fields.substr(0, fields.find('\0'));
  message.remove_prefix(message.find('=') + 1);
  return message;
}

// A record as it goes through the queue.
struct Line {
  spdlog::level::level_enum kind = kPlainLine;
  std::string text;
};

Line line_of(LogFormat format, const std::string& program, const LogRecord& record) {
  switch (format) {
    case LogFormat::text:
      return {kPlainLine, format_text(record)};
    case LogFormat::json:
      return {kPlainLine, format_json(record)};
    case LogFormat::journal:
      break;
  }
  std::string joined;
  for (const std::string& field : journal_fields(record, program)) {
    joined.append(field).push_back('\0');
  }
  return {kJournalLine, std::move(joined)};
}

// The end of the queue: called on spdlog's thread only, but for the counts.
class QueueEnd final : public spdlog::sinks::sink {
 public:
  QueueEnd(UniqueFd file, LogFormat format, std::string program)
      : format_(format), program_(std::move(program)), writer_(std::move(file)) {}

  // The pool whose queue ends here; before anything is logged.
  void watch(spdlog::details::thread_pool& pool) { pool_ = &pool; }

  void log(const spdlog::details::log_msg& message) override {
    std::string_view payload(message.payload.data(), message.payload.size());
    bool done = tell_lost() && write(message.level, payload);
    failing_ = !done;
    std::lock_guard lock(mutex_);
    ++handled_;
    if (!done) ++lost_;
    progress_.notify_all();
  }
  void flush() override {}
  void set_pattern(const std::string&) override {}
  void set_formatter(std::unique_ptr<spdlog::formatter>) override {}

  LineWriter& writer() { return writer_; }
  // Lines that were never written.
  std::uint64_t lost() const {
    std::uint64_t overrun = pool_->overrun_counter();
    std::lock_guard lock(mutex_);
    return lost_ + overrun;
  }
  template <typename Done>
  bool wait(Duration most, Done done) {
    std::unique_lock lock(mutex_);
    return progress_.wait_for(lock, most, [&] { return done(handled_); });
  }

 private:
  bool write(spdlog::level::level_enum kind, std::string_view text) {
    if (kind != kJournalLine) return writer_.write(text);
    return send_to_journal(text) || writer_.write(journal_message(text));
  }

  // Says once, as soon as lines can be written again, how many could not; now and then while the
  // queue keeps overrunning. False: they still cannot.
  bool tell_lost() {
    std::uint64_t all = lost();
    std::int64_t now_ms = monotonic_ms();
    if (all == told_ || (!failing_ && told_ != 0 && now_ms < tell_again_ms_)) return true;
    const LogField fields[] = {{"lines", all - told_}};
    Line line = line_of(format_, program_,
                        {LogLevel::warn, clock_us(CLOCK_REALTIME), "log_lines_dropped", fields, 0});
    if (!write(line.kind, line.text)) return false;
    told_ = all;
    tell_again_ms_ = now_ms + kTellInterval_ms;
    return true;
  }

  const LogFormat format_;
  const std::string program_;
  LineWriter writer_;
  spdlog::details::thread_pool* pool_ = nullptr;
  bool failing_ = false;    // the last line was not written
  std::uint64_t told_ = 0;  // lost lines that the log tells of
  std::int64_t tell_again_ms_ = 0;
  mutable std::mutex mutex_;
  std::condition_variable progress_;
  std::uint64_t handled_ = 0;
  std::uint64_t lost_ = 0;
};

void block_signals() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);  // they are the loop's; and no SIGPIPE here
}

// With its thread, which writes the lines.
std::shared_ptr<spdlog::details::thread_pool> make_pool() {
  return unless_refused(kThread, [] {
    return std::make_shared<spdlog::details::thread_pool>(kQueueLines, 1, block_signals);
  });
}

// A name holds no line end.
std::string failure_key(std::string_view peer, std::string_view service, std::string_view cause) {
  std::string key(peer);
  key.append("\n").append(service).append("\n").append(cause);
  return key;
}

}  // namespace

// The shared pointers are spdlog's interface; nobody else holds them.
struct Logger::Impl {
  Impl(LogFormat chosen, std::string name, std::string file_path, UniqueFd file)
      : format(chosen),
        program(std::move(name)),
        path(std::move(file_path)),
        end(std::make_shared<QueueEnd>(std::move(file), format, program)),
        pool(make_pool()),
        queue(std::make_shared<spdlog::async_logger>(
            "", end, pool, spdlog::async_overflow_policy::overrun_oldest)) {
    end->watch(*pool);
    queue->set_level(spdlog::level::trace);
  }
  ~Impl() {
    end->writer().give_up_at(monotonic_ms() + kExitPatience_ms);
    pool.reset();  // joins: only then is nobody else's hand on the queue
    queue.reset();
  }

  void push(spdlog::level::level_enum kind, std::string_view line) {
    queued.fetch_add(1, std::memory_order_relaxed);
    queue->log(kind, spdlog::string_view_t(line.data(), line.size()));
  }

  const LogFormat format;
  const std::string program;
  const std::string path;
  std::shared_ptr<QueueEnd> end;
  std::shared_ptr<spdlog::details::thread_pool> pool;
  std::shared_ptr<spdlog::async_logger> queue;
  std::atomic<std::uint64_t> queued{0};

  std::mutex limiter_mutex;
  RateLimiter limiter{kStrangerLines, kStrangerInterval};
  std::map<std::string, LogLevel, std::less<>> stranger_levels;
  RateLimiter connection_limiter{kDefaultConnectionLines, seconds(1)};  // by peer
  RateLimiter failure_limiter{kFailureLines, kFailureInterval};         // by failure_key()
};

std::optional<LogLevel> log_level_from(std::string_view text) {
  for (LogLevel level : kAllLevels) {
    if (text == to_string(level)) return level;
  }
  return std::nullopt;
}

std::string unknown_log_level(const std::string& text) {
  std::vector<std::string> known;
  for (LogLevel level : kAllLevels) known.emplace_back(to_string(level));
  return unknown_word("log level", text, known);
}

Result<std::unique_ptr<Logger>> Logger::open(const LogConfig& config, std::string program,
                                             std::optional<Error>* refused) {
  UniqueFd file;
  if (config.file) {
    Result<UniqueFd> opened = LineWriter::open_file(*config.file);
    if (!opened && refused == nullptr) return opened.error();
    if (opened) file = std::move(*opened);
    if (!opened) *refused = opened.error();
  }
  LogFormat format = config.format;
  // sd_journal_sendv() says nothing when there is no journal: it would swallow every line.
  bool to_journal = kWithSystemd && ::access(kJournalSocket, W_OK) == 0;
  if (format == LogFormat::journal && !to_journal) {
    format = LogFormat::text;
  }
  auto impl =
      std::make_unique<Impl>(format, std::move(program), config.file.value_or(""), std::move(file));
  impl->connection_limiter.set_events(config.connection_lines);
  return std::unique_ptr<Logger>(new Logger(std::move(impl), config.level));
}

Logger::Logger(std::unique_ptr<Impl> impl, LogLevel level)
    : level_(level), impl_(std::move(impl)) {}
Logger::~Logger() = default;

void Logger::write(LogLevel level, std::string_view event, std::span<const LogField> fields,
                   std::uint64_t suppressed) {
  LogRecord record{level, clock_us(CLOCK_REALTIME), event, fields, suppressed};
  Line line = line_of(impl_->format, impl_->program, record);
  impl_->push(line.kind, line.text);
}

void Logger::write_limited(LogLevel level, std::string_view event,
                           std::span<const LogField> fields) {
  std::optional<std::uint64_t> suppressed;
  {
    std::lock_guard lock(impl_->limiter_mutex);
    suppressed = impl_->limiter.admit(event, boot_time());
    auto known = impl_->stranger_levels.find(event);
    if (known == impl_->stranger_levels.end()) impl_->stranger_levels.emplace(event, level);
  }
  if (suppressed) write(level, event, fields, *suppressed);
}

bool Logger::connection_line(std::string_view peer) {
  std::lock_guard lock(impl_->limiter_mutex);
  auto suppressed = impl_->connection_limiter.admit(peer, boot_time());
  if (suppressed) tell_connection_lines(peer, *suppressed);
  return suppressed.has_value();
}

void Logger::tell_connection_lines(std::string_view peer, std::uint64_t lines) {
  if (lines != 0)
    event(LogLevel::warn, "connection_lines_suppressed", {{"peer", peer}, {"lines", lines}});
}

void Logger::set_connection_lines(std::uint64_t most) {
  std::lock_guard lock(impl_->limiter_mutex);
  impl_->connection_limiter.set_events(most);
}

void Logger::report_suppressed() {
  std::lock_guard lock(impl_->limiter_mutex);
  for (const auto& [peer, lines] : impl_->connection_limiter.take_suppressed(boot_time())) {
    tell_connection_lines(peer, lines);
  }
  for (const auto& [key, count] : impl_->failure_limiter.take_suppressed(boot_time())) {
    tell_failures(key, count);
  }
  for (const auto& [event, count] : impl_->limiter.take_suppressed(boot_time())) {
    LogLevel level = impl_->stranger_levels.find(event)->second;
    if (enabled(level)) write(level, event, {}, count);
  }
}

bool Logger::failure_line(std::string_view peer, std::string_view service, std::string_view cause) {
  std::string key = failure_key(peer, service, cause);
  std::lock_guard lock(impl_->limiter_mutex);
  auto suppressed = impl_->failure_limiter.admit(key, boot_time());
  if (suppressed) tell_failures(key, *suppressed);
  return suppressed.has_value();
}

void Logger::tell_failures(std::string_view key, std::uint64_t count) {
  if (count == 0) return;
  std::size_t service = key.find('\n') + 1;
  std::size_t cause = key.find('\n', service) + 1;
  event(LogLevel::info, "connection_failures",
        {{"service", key.substr(service, cause - 1 - service)},
         {"peer", key.substr(0, service - 1)},
         {"cause", key.substr(cause)},
         {"count", count}});
}

void Logger::line(std::string_view text) {
  impl_->push(kPlainLine, text);
}

Status Logger::reopen() {
  if (impl_->path.empty()) return Ok{};
  Result<UniqueFd> opened = LineWriter::open_file(impl_->path);
  if (!opened) return opened.error();
  impl_->end->writer().replace_file(std::move(*opened));
  return Ok{};
}

bool Logger::has_file() const {
  return !impl_->path.empty();
}

bool Logger::flush(Duration most) {
  std::uint64_t target = impl_->queued.load();
  return impl_->end->wait(most, [this, target](std::uint64_t handled) {
    return handled + impl_->pool->overrun_counter() >= target;
  });
}

std::uint64_t Logger::dropped() const {
  return impl_->end->lost();
}

}  // namespace holdfast
