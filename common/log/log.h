// Structured log: one event a line, to standard error, a file or the journal.
//
//   log.event(LogLevel::info, "connection_closed", {{"id", name}, {"bytes_up", up}, {"cause", c}});
//
//   text     2026-01-31T12:00:00.000000Z info event=connection_closed id=3fa9c1d2-17 bytes_up=12
//   json     {"time":"2026-01-31T12:00:00.000000Z","level":"info","event":"connection_closed",...}
//   journal  MESSAGE= as text without time and level, PRIORITY=, HOLDFAST_EVENT=, HOLDFAST_ID= ...
//
// Any thread may call. Nothing here ever waits for a disk, a pipe or the journal: lines go through
// a bounded queue to a thread of its own; when it is full the oldest line is dropped and counted.
// Values may come from the network: control characters, line ends and broken UTF-8 are escaped and
// long ones cut. Event names and keys are ours: [a-z0-9_], string literals.
#pragma once

#include <atomic>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

#include "common/base/result.h"
#include "common/base/time.h"
#include "common/config/config.h"

namespace holdfast {

// Views: lives as long as what it was made from, so make it in the call.
struct LogField {
  using Value = std::variant<std::string_view, std::int64_t, std::uint64_t, double, bool>;

  LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
  LogField(std::string_view k, const std::string& v) : key(k), value(std::string_view(v)) {}
  LogField(std::string_view k, const char* v) : key(k), value(std::string_view(v)) {}
  LogField(std::string_view k, double v) : key(k), value(v) {}
  LogField(std::string_view k, bool v) : key(k), value(v) {}
  template <std::signed_integral T>
  LogField(std::string_view k, T v) : key(k), value(static_cast<std::int64_t>(v)) {}
  template <std::unsigned_integral T>
  requires(!std::is_same_v<T, bool>) LogField(std::string_view k, T v)
      : key(k), value(static_cast<std::uint64_t>(v)) {}
  // In seconds, as every key that ends in _s.
  LogField(std::string_view k, Duration v) : key(k), value(static_cast<double>(v.count()) / 1e6) {}

  std::string_view key;
  Value value;
};

std::optional<LogLevel> log_level_from(std::string_view text);
// `unknown log level "inof"; did you mean "info"?`
std::string unknown_log_level(const std::string& text);

class Logger {
 public:
  // `program` is what the journal shows (SYSLOG_IDENTIFIER). Fails when the file cannot be opened.
  // Without a journal to write to, format "journal" becomes text on standard error. With `refused`
  // a file that cannot be opened is none but the reason: until reopen() standard error takes its
  // place.
  static Result<std::unique_ptr<Logger>> open(const LogConfig& config, std::string program,
                                              std::optional<Error>* refused = nullptr);

  // Writes what is queued, for at most half a second, and closes.
  ~Logger();
  Logger(const Logger&) = delete;
  Logger& operator=(const Logger&) = delete;

  bool enabled(LogLevel level) const { return level <= level_.load(std::memory_order_relaxed); }

  void event(LogLevel level, std::string_view event, std::initializer_list<LogField> fields = {}) {
    if (enabled(level)) write(level, event, {fields.begin(), fields.size()}, 0);
  }
  void event(LogLevel level, std::string_view event, std::span<const LogField> fields) {
    if (enabled(level)) write(level, event, fields, 0);
  }
  // For what strangers can cause at will: at most kStrangerLines of one event in
  // kStrangerInterval; the next line that is let through says how many were not (suppressed=N).
  void stranger(LogLevel level, std::string_view event,
                std::initializer_list<LogField> fields = {}) {
    if (enabled(level)) write_limited(level, event, {fields.begin(), fields.size()});
  }
  // For lines about connections, which a peer can cause at will: false for what is more than
  // connection_lines of the configuration in a second for one peer. Ask before the line is made.
  // What was left out is told in connection_lines_suppressed. `peer`: a configured name.
  bool connection_line(std::string_view peer);
  // For a connection that failed to open, before connection_line(): false for what is more than
  // kFailureLines in kFailureInterval of one cause, service and peer. An application that tries
  // again without a pause writes no more than that; how many there were, connection_failures tells.
  bool failure_line(std::string_view peer, std::string_view service, std::string_view cause);
  // Tells of every event, and of every peer's connection lines, that were left out in an interval
  // that is over and had no line since to tell it. Call it now and then (once a minute will do).
  void report_suppressed();

  // One finished line as it is, whatever the level and format: for trace files.
  void line(std::string_view text);

  void set_level(LogLevel level) { level_.store(level, std::memory_order_relaxed); }
  LogLevel level() const { return level_.load(std::memory_order_relaxed); }
  void set_connection_lines(std::uint64_t most);
  // After the file was moved away: opens it anew. Lines that are already queued may go to either.
  Status reopen();
  // It writes to a file; else to stderr or the journal.
  bool has_file() const;
  // Waits until everything logged before is written, or not: false after `most`.
  bool flush(Duration most);
  // Lines that were never written: the queue was full, or the reader was gone or too slow at exit.
  std::uint64_t dropped() const;

  static constexpr std::uint32_t kStrangerLines = 10;
  static constexpr Duration kStrangerInterval = seconds(10);
  static constexpr std::uint32_t kFailureLines = 10;
  static constexpr Duration kFailureInterval = seconds(10);

 private:
  struct Impl;

  Logger(std::unique_ptr<Impl> impl, LogLevel level);
  void write(LogLevel level, std::string_view event, std::span<const LogField> fields,
             std::uint64_t suppressed);
  void tell_connection_lines(std::string_view peer, std::uint64_t lines);
  void tell_failures(std::string_view key, std::uint64_t count);
  void write_limited(LogLevel level, std::string_view event, std::span<const LogField> fields);

  std::atomic<LogLevel> level_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace holdfast
