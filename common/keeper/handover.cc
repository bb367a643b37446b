#include "common/keeper/handover.h"

#include <unistd.h>

#include <charconv>
#include <map>
#include <sstream>

namespace holdfast {
namespace {

constexpr const char* kBegin = "holdfast";

using Words = std::map<std::string, std::string>;

Words words_of(const std::string& text) {
  Words words;
  std::istringstream stream(text);
  for (std::string word; stream >> word;) {
    std::size_t equals = word.find('=');
    words[word.substr(0, equals)] = equals == std::string::npos ? "" : word.substr(equals + 1);
  }
  return words;
}

template <typename Number>
void take(const Words& words, const char* key, Number& number) {
  auto found = words.find(key);
  if (found == words.end()) return;
  const std::string& value = found->second;
  Number parsed{};
  auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), parsed);
  if (error == std::errc{} && end == value.data() + value.size()) number = parsed;
}

void take_started_with(const Words& words, Page& page) {
  auto found = words.find("open");
  if (found == words.end()) return;
  std::istringstream stream(found->second);
  page.started_with_count = 0;
  for (std::string each; std::getline(stream, each, ',');) {
    if (page.started_with_count == kMostStartedWith) return;
    take({{"open", each}}, "open", page.started_with[page.started_with_count++]);
  }
}

void take_words(const Words& words, Page& page) {
  auto reason = static_cast<std::uint32_t>(StartReason::restart);
  std::uint64_t state = 0;
  take(words, "reason", reason);
  take(words, "state", state);
  page.reason = static_cast<StartReason>(reason);
  page.state = state;
  take(words, "discard", page.discard);
  take(words, "deaths_in_row", page.deaths_in_row);
  take(words, "config_from_file", page.config_from_file);
  take(words, "deaths", page.deaths);
  std::uint32_t stored = page.stored;
  take(words, "stored", stored);
  page.stored = stored;
  take(words, "died_pid", page.death.pid);
  take(words, "died_signal", page.death.signal);
  take(words, "died_stuck", page.death.stuck);
  take(words, "died_code", page.death.code);
  take(words, "died_ns", page.death.time_ns);
}

// None: it is no number.
std::optional<std::uint32_t> major_of(const std::string& format) {
  std::uint32_t major = 0;
  const char* end = format.data() + format.size();
  auto [stop, error] = std::from_chars(format.data(), end, major);
  if (error != std::errc{} || (stop != end && *stop != '.')) return std::nullopt;
  return major;
}

}  // namespace

bool can_read_state(const std::string& format) {
  std::optional<std::uint32_t> asked = major_of(format);
  std::uint32_t ours = *major_of(kStateFormat);
  return asked && (*asked == ours || *asked + 1 == ours);
}

std::optional<int> asked_for_state(int argc, const char* const* argv) {
  if (argc != 3 || std::string(argv[1]) != kCanReadOption) return std::nullopt;
  return can_read_state(argv[2]) ? 0 : 1;
}

std::string handover_text(const Page& page, const std::string& oom_score) {
  std::ostringstream text;
  text << kBegin << " pid=" << getpid() << " reason=" << static_cast<std::uint32_t>(page.reason)
       << " state=" << page.state.load() << " discard=" << page.discard
       << " deaths_in_row=" << page.deaths_in_row << " config_from_file=" << page.config_from_file
       << " deaths=" << page.deaths << " stored=" << page.stored.load()
       << " died_pid=" << page.death.pid << " died_signal=" << page.death.signal
       << " died_stuck=" << page.death.stuck << " died_code=" << page.death.code
       << " died_ns=" << page.death.time_ns << " open=";
  for (std::uint32_t i = 0; i < page.started_with_count; ++i) {
    text << (i == 0 ? "" : ",") << page.started_with[i];
  }
  text << " oom_score=" << oom_score;
  return text.str();
}

bool take_handover(const std::string& text, Page& page, std::string& oom_score) {
  Words words = words_of(text);
  pid_t process = 0;
  take(words, "pid", process);
  if (words.count(kBegin) == 0 || process != getpid()) return false;
  take_words(words, page);
  take_started_with(words, page);
  if (auto found = words.find("oom_score"); found != words.end()) oom_score = found->second;
  return true;
}

bool take_parked_text(const std::string& text, Page& page) {
  Words words = words_of(text);
  if (words.count(kBegin) == 0) return false;
  take_words(words, page);
  return true;
}

}  // namespace holdfast
