#include "common/admin/http_request.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace holdfast {
namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// Whether a line is "NAME: ...", with spaces around the name, too: what a library may forgive.
bool is_header(std::string_view line, std::string_view name) {
  std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return false;
  std::string_view before = line.substr(0, colon);
  while (!before.empty() && (before.back() == ' ' || before.back() == '\t'))
    before.remove_suffix(1);
  while (!before.empty() && (before[0] == ' ' || before[0] == '\t')) before.remove_prefix(1);
  return std::equal(before.begin(), before.end(), name.begin(), name.end(),
                    [](char a, char b) { return lower(a) == b; });
}

// Where the empty line after the head ends.
std::optional<std::size_t> head_size(std::string_view text) {
  for (std::size_t line = 0; line < text.size();) {
    std::size_t end = text.find('\n', line);
    if (end == std::string_view::npos) return std::nullopt;
    bool empty = end == line || (end == line + 1 && text[line] == '\r');
    if (empty && line != 0) return end + 1;
    line = end + 1;
  }
  return std::nullopt;
}

// Hands every line of a head, with its line end, to `visit`.
template <typename Visit>
void for_each_line(std::string_view head, Visit visit) {
  while (!head.empty()) {
    std::size_t end = std::min(head.find('\n'), head.size() - 1) + 1;
    visit(head.substr(0, end));
    head.remove_prefix(end);
  }
}

// 0: none is there; more than there can be is the most.
std::uint64_t number_after_colon(std::string_view line) {
  line.remove_prefix(line.find(':') + 1);
  while (!line.empty() && (line[0] == ' ' || line[0] == '\t')) line.remove_prefix(1);
  std::uint64_t number = 0;
  auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), number);
  if (error == std::errc::result_out_of_range) return UINT64_MAX;
  return error == std::errc() ? number : 0;
}

}  // namespace

std::optional<std::size_t> request_size(std::string_view text) {
  std::optional<std::size_t> head = head_size(text);
  if (!head) return std::nullopt;
  std::uint64_t body = 0;
  for_each_line(text.substr(0, *head), [&](std::string_view line) {
    if (is_header(line, "content-length")) body = number_after_colon(line);
  });
  return body > SIZE_MAX - *head ? SIZE_MAX : *head + static_cast<std::size_t>(body);
}

std::string_view request_path(std::string_view text) {
  std::size_t begin = std::min(text.find(' '), text.size());
  std::string_view target = text.substr(std::min(begin + 1, text.size()));
  return target.substr(0, target.find_first_of(" ?#\r\n"));
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned char byte = 0;
    const char* digits = text.data() + i + 1;
    if (text[i] == '%' && text.size() - i > 2 &&
        std::from_chars(digits, digits + 2, byte, 16).ptr == digits + 2) {
      out.push_back(static_cast<char>(byte));
      i += 2;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

void add_parameters(std::string_view query, HttpParameters& parameters) {
  auto decoded = [](std::string_view text) {
    std::string spaced(text);
    std::replace(spaced.begin(), spaced.end(), '+', ' ');
    return percent_decoded(spaced);
  };
  while (!query.empty()) {
    std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(pair.size() + 1, query.size()));
    std::size_t equals = std::min(pair.find('='), pair.size());
    std::string name = decoded(pair.substr(0, equals));
    std::string_view value = pair.substr(std::min(equals + 1, pair.size()));
    if (!name.empty()) parameters.emplace(std::move(name), decoded(value));
  }
}

}  // namespace holdfast
