#include "common/config/nearest.h"

#include <algorithm>

namespace holdfast {
namespace {

// Longer words are nobody's slip, and the distance costs their product.
constexpr std::size_t kMaxWordBytes = 128;

}  // namespace

std::size_t edit_distance(std::string_view one, std::string_view other) {
  std::vector<std::size_t> before_last(other.size() + 1);
  std::vector<std::size_t> last(other.size() + 1);
  std::vector<std::size_t> row(other.size() + 1);
  for (std::size_t j = 0; j <= other.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= one.size(); ++i) {
    before_last.swap(last);
    last.swap(row);
    row[0] = i;
    for (std::size_t j = 1; j <= other.size(); ++j) {
      const std::size_t change = one[i - 1] == other[j - 1] ? 0 : 1;
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + change});
      if (i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1]) {
        row[j] = std::min(row[j], before_last[j - 2] + 1);
      }
    }
  }
  return row[other.size()];
}

namespace {

std::string lower(std::string_view word) {
  std::string out(word);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// "psk" for psk_file, "warning" for warn.
std::optional<std::string> begins_alike(std::string_view word,
                                        const std::vector<std::string>& candidates) {
  constexpr std::size_t kFewest = 3;
  for (const std::string& candidate : candidates) {
    if (word.size() < kFewest || candidate.size() < kFewest) continue;
    if (candidate.starts_with(word) || word.starts_with(candidate)) return candidate;
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> nearest(std::string_view word,
                                   const std::vector<std::string>& candidates) {
  if (word.empty() || word.size() > kMaxWordBytes) return std::nullopt;
  std::optional<std::string> best;
  std::size_t best_distance = 0;
  for (const std::string& candidate : candidates) {
    if (candidate.size() > kMaxWordBytes) continue;
    const std::size_t distance = edit_distance(lower(word), lower(candidate));
    const std::size_t allowed = std::max<std::size_t>(1, (candidate.size() + 1) / 3);
    if (distance > allowed || distance >= candidate.size()) continue;
    if (best && distance >= best_distance) continue;
    best = candidate;
    best_distance = distance;
  }
  return best ? best : begins_alike(word, candidates);
}

std::string unknown_word(const std::string& kind, const std::string& word,
                         const std::vector<std::string>& known) {
  std::string text = "unknown " + kind + " \"" + word + "\"";
  if (auto near = nearest(word, known)) return text + "; did you mean \"" + *near + "\"?";
  std::string list;
  for (const std::string& one : known) list += (list.empty() ? "" : ", ") + one;
  return text + "; known: " + (list.empty() ? "none" : list);
}

}  // namespace holdfast
