#include "common/admin/log.h"

#include <signal.h>
#include <spdlog/async_logger.h>
#include <spdlog/details/thread_pool.h>
#include <spdlog/sinks/sink.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>

#include <condition_variable>
#include <ctime>
#include <map>
#include <mutex>

#include "common/admin/line_writer.h"
#include "common/admin/log_format.h"
#include "common/admin/rate_limiter.h"

namespace holdfast {
namespace {

// Lines that may wait. spdlog keeps that many messages of some 400 bytes: 1.6 MiB.
constexpr std::size_t kQueueLines = 4096;
constexpr std::int64_t kExitPatience_ms = 500;
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

bool send_to_journal(std::string_view fields) {
  std::vector<iovec> parts;
  while (!fields.empty()) {
    std::string_view field = fields.substr(0, fields.find('\0'));
    parts.push_back({const_cast<char*>(field.data()), field.size()});
    fields.remove_prefix(std::min(field.size() + 1, fields.size()));
  }
  return sd_journal_sendv(parts.data(), static_cast<int>(parts.size())) >= 0;
}

std::string_view journal_message(std::string_view fields) {
  std::string_view message = fields.substr(0, fields.find('\0'));
  message.remove_prefix(message.find('=') + 1);
  return message;
}

// The end of the queue: called on spdlog's thread only, but for the counts.
class QueueEnd final : public spdlog::sinks::sink {
 public:
  explicit QueueEnd(UniqueFd file) : writer_(std::move(file)) {}

  void log(const spdlog::details::log_msg& message) override {
    std::string_view payload(message.payload.data(), message.payload.size());
    bool done = message.level == kJournalLine
                    ? send_to_journal(payload) || writer_.write(journal_message(payload))
                    : writer_.write(payload);
    std::lock_guard lock(mutex_);
    ++handled_;
    if (!done) ++lost_;
    progress_.notify_all();
  }
  void flush() override {}
  void set_pattern(const std::string&) override {}
  void set_formatter(std::unique_ptr<spdlog::formatter>) override {}

  LineWriter& writer() { return writer_; }
  std::uint64_t lost() const {
    std::lock_guard lock(mutex_);
    return lost_;
  }
  template <typename Done>
  bool wait(Duration most, Done done) {
    std::unique_lock lock(mutex_);
    return progress_.wait_for(lock, most, [&] { return done(handled_); });
  }

 private:
  LineWriter writer_;
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

}  // namespace

// The shared pointers are spdlog's interface; nobody else holds them.
struct Logger::Impl {
  Impl(LogFormat chosen, std::string name, std::string file_path, UniqueFd file)
      : format(chosen),
        program(std::move(name)),
        path(std::move(file_path)),
        end(std::make_shared<QueueEnd>(std::move(file))),
        pool(std::make_shared<spdlog::details::thread_pool>(kQueueLines, 1, block_signals)),
        queue(std::make_shared<spdlog::async_logger>(
            "", end, pool, spdlog::async_overflow_policy::overrun_oldest)) {
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
};

Result<std::unique_ptr<Logger>> Logger::open(const LogConfig& config, std::string program) {
  UniqueFd file;
  if (config.file) {
    Result<UniqueFd> opened = LineWriter::open_file(*config.file);
    if (!opened) return opened.error();
    file = std::move(*opened);
  }
  LogFormat format = config.format;
  // sd_journal_sendv() says nothing when there is no journal: it would swallow every line.
  if (format == LogFormat::journal && ::access(kJournalSocket, W_OK) != 0) {
    format = LogFormat::text;
  }
  auto impl =
      std::make_unique<Impl>(format, std::move(program), config.file.value_or(""), std::move(file));
  return std::unique_ptr<Logger>(new Logger(std::move(impl), config.level));
}

Logger::Logger(std::unique_ptr<Impl> impl, LogLevel level)
    : level_(level), impl_(std::move(impl)) {}
Logger::~Logger() = default;

void Logger::write(LogLevel level, std::string_view event, std::span<const LogField> fields,
                   std::uint64_t suppressed) {
  LogRecord record{level, clock_us(CLOCK_REALTIME), event, fields, suppressed};
  switch (impl_->format) {
    case LogFormat::text:
      impl_->push(kPlainLine, format_text(record));
      return;
    case LogFormat::json:
      impl_->push(kPlainLine, format_json(record));
      return;
    case LogFormat::journal: {
      std::string joined;
      for (const std::string& field : journal_fields(record, impl_->program)) {
        joined.append(field).push_back('\0');
      }
      impl_->push(kJournalLine, joined);
      return;
    }
  }
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

void Logger::report_suppressed() {
  std::lock_guard lock(impl_->limiter_mutex);
  for (const auto& [event, count] : impl_->limiter.take_suppressed(boot_time())) {
    LogLevel level = impl_->stranger_levels.find(event)->second;
    if (enabled(level)) write(level, event, {}, count);
  }
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

bool Logger::flush(Duration most) {
  std::uint64_t target = impl_->queued.load();
  return impl_->end->wait(most, [this, target](std::uint64_t handled) {
    return handled + impl_->pool->overrun_counter() >= target;
  });
}

std::uint64_t Logger::dropped() const {
  return impl_->pool->overrun_counter() + impl_->end->lost();
}

}  // namespace holdfast
