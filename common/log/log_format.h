// How one event of the log reads in each format.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/log/log.h"

namespace holdfast {

struct LogRecord {
  LogLevel level{};
  std::int64_t at_us = 0;  // since the epoch
  std::string_view event;
  std::span<const LogField> fields;
  std::uint64_t suppressed = 0;  // equal events that were not written before this one
};

// 2026-01-31T12:00:00.000000Z
std::string format_time(std::int64_t at_us);

// Without line ends.
std::string format_text(const LogRecord& record);
std::string format_json(const LogRecord& record);

// What goes to the journal: "KEY=value" each, MESSAGE and PRIORITY first. No value holds a zero.
std::vector<std::string> journal_fields(const LogRecord& record, std::string_view program);

}  // namespace holdfast
