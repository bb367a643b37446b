// The agent's metrics in Prometheus' text format (operators' reference: docs).
//
// Base units, counters end in _total, no label has a value that strangers or connections choose.
#pragma once

#include <string>

#include "common/admin/snapshot.h"

namespace holdfast {

inline constexpr char kMetricsContentType[] = "text/plain; version=0.0.4; charset=utf-8";

std::string metrics_text(const AgentSnapshot& snapshot);

}  // namespace holdfast
