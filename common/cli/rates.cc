#include "common/cli/rates.h"

#include <utility>

namespace holdfast {

RateTable Rates::update(const std::vector<Passed>& now) {
  RateTable rates;
  std::map<std::string, Passed> seen;
  for (const Passed& one : now) {
    auto before = before_.find(one.id);
    seen.emplace(one.id, one);
    if (before == before_.end()) continue;
    const Passed& then = before->second;
    if (one.at <= then.at || one.up < then.up || one.down < then.down) continue;
    double elapsed_s = static_cast<double>((one.at - then.at).count()) / 1e6;
    rates[one.id] = {static_cast<double>(one.up - then.up) / elapsed_s,
                     static_cast<double>(one.down - then.down) / elapsed_s};
  }
  before_ = std::move(seen);
  return rates;
}

}  // namespace holdfast
