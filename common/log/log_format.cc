#include "common/log/log_format.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <ctime>

#include "common/base/overloaded.h"
#include "common/log/escape.h"

namespace holdfast {
namespace {

// Six decimals at most (microseconds), without zeros at the end.
std::string number(double value) {
  if (!std::isfinite(value) || std::abs(value) > 1e15) return std::to_string(value);
  char text[64];
  auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::fixed, 6).ptr;
  while (end[-1] == '0') --end;
  if (end[-1] == '.') --end;
  return std::string(text, end);
}

bool needs_quotes(std::string_view value) {
  return value.empty() || std::any_of(value.begin(), value.end(), [](char c) {
           return c <= ' ' || c == '=' || c == '"' || c == '\\' || c == 0x7f;
         });
}

void append_text_value(std::string& out, std::string_view value) {
  // Bytes above ASCII may be escaped too, which takes quotes as well.
  std::string shown;
  append_escaped(shown, value, EscapeStyle::text);
  bool quotes = needs_quotes(value) || shown != value;
  if (quotes) out.push_back('"');
  out += shown;
  if (quotes) out.push_back('"');
}

void append_json_text(std::string& out, std::string_view value) {
  out.push_back('"');
  append_escaped(out, value, EscapeStyle::json);
  out.push_back('"');
}

std::string plain_value(const LogField::Value& value) {
  return std::visit(overloaded{[](std::string_view text) { return escaped(text); },
                               [](bool flag) { return std::string(flag ? "true" : "false"); },
                               [](double real) { return number(real); },
                               [](auto integer) { return std::to_string(integer); }},
                    value);
}

void append_text_field(std::string& out, const LogField& field) {
  out.push_back(' ');
  out.append(field.key).push_back('=');
  if (auto* text = std::get_if<std::string_view>(&field.value)) {
    append_text_value(out, *text);
  } else {
    out += plain_value(field.value);
  }
}

void append_json_field(std::string& out, const LogField& field) {
  out.push_back(',');
  append_json_text(out, field.key);
  out.push_back(':');
  if (auto* text = std::get_if<std::string_view>(&field.value)) {
    append_json_text(out, *text);
  } else if (auto* real = std::get_if<double>(&field.value); real && !std::isfinite(*real)) {
    out += "null";
  } else {
    out += plain_value(field.value);
  }
}

// "event=... key=value ..."
std::string text_body(const LogRecord& record) {
  std::string out = "event=";
  out.append(record.event);
  for (const LogField& field : record.fields) append_text_field(out, field);
  if (record.suppressed > 0) append_text_field(out, {"suppressed", record.suppressed});
  return out;
}

// syslog(3)'s severities.
char priority(LogLevel level) {
  switch (level) {
    case LogLevel::error:
      return '3';
    case LogLevel::warn:
      return '4';
    case LogLevel::info:
      return '6';
    case LogLevel::debug:
    case LogLevel::trace:
      return '7';
  }
  return '6';
}

std::string journal_key(std::string_view key) {
  std::string out = "HOLDFAST_";
  for (char c : key) out.push_back(c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c);
  return out;
}

}  // namespace

std::string format_time(std::int64_t at_us) {
  auto at_s = static_cast<std::time_t>(at_us / 1000000);
  std::tm parts{};
  gmtime_r(&at_s, &parts);
  char date[32];
  std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
  char text[48];
  std::snprintf(text, sizeof text, "%s.%06dZ", date, static_cast<int>(at_us % 1000000));
  return text;
}

std::string format_text(const LogRecord& record) {
  std::string out = format_time(record.at_us);
  out.append(" ").append(to_string(record.level)).append(" ");
  out += text_body(record);
  return out;
}

std::string format_json(const LogRecord& record) {
  std::string out = "{\"time\":\"" + format_time(record.at_us) + "\",\"level\":\"";
  out.append(to_string(record.level)).append("\",\"event\":\"").append(record.event).append("\"");
  for (const LogField& field : record.fields) append_json_field(out, field);
  if (record.suppressed > 0) append_json_field(out, {"suppressed", record.suppressed});
  out.push_back('}');
  return out;
}

std::vector<std::string> journal_fields(const LogRecord& record, std::string_view program) {
  std::vector<std::string> out;
  out.push_back("MESSAGE=" + text_body(record));
  out.push_back(std::string("PRIORITY=") + priority(record.level));
  out.push_back("SYSLOG_IDENTIFIER=" + std::string(program));
  out.push_back("HOLDFAST_EVENT=" + std::string(record.event));
  for (const LogField& field : record.fields) {
    out.push_back(journal_key(field.key) + "=" + plain_value(field.value));
  }
  if (record.suppressed > 0) {
    out.push_back("HOLDFAST_SUPPRESSED=" + std::to_string(record.suppressed));
  }
  return out;
}

}  // namespace holdfast
