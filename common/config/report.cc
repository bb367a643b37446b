#include "common/config/report.h"

#include <algorithm>
#include <numeric>

namespace holdfast {

int Report::add_file(std::string file) {
  files_.push_back(std::move(file));
  return static_cast<int>(files_.size()) - 1;
}

void Report::error(const Place& place, std::string reason, std::string hint, ProblemKind kind) {
  problems_.push_back(Problem{file_of(place), place.line, place.key, Severity::error,
                              std::move(reason), std::move(hint), kind});
  file_of_.push_back(place.file);
}

void Report::warning(const Place& place, std::string reason, std::string hint) {
  error(place, std::move(reason), std::move(hint));
  problems_.back().severity = Severity::warning;
}

void Report::missing(Severity severity, const Place& place, std::string reason, std::string hint) {
  if (incomplete_) return;
  error(place, std::move(reason), std::move(hint));
  problems_.back().severity = severity;
}

std::string Report::name_of(const Place& other, const Place& here) const {
  const std::string line = std::to_string(other.line);
  if (other.file == here.file) return "line " + line;
  return file_of(other) + ":" + line;
}

std::vector<Problem> Report::take() {
  std::vector<std::size_t> order(problems_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return file_of_[a] < file_of_[b]; });
  std::vector<Problem> sorted;
  for (const std::size_t at : order) sorted.push_back(std::move(problems_[at]));
  problems_.clear();
  file_of_.clear();
  return sorted;
}

}  // namespace holdfast
