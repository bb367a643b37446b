// What reading a config needs throughout, whichever table it is.
#pragma once

#include <string>

#include "common/config/load.h"
#include "common/config/report.h"

namespace holdfast {

enum class Side { client, server };

struct Loading {
  Report& report;
  Environment surroundings{};

  // A path as the config means it: relative ones lie in the main file's folder.
  std::string resolve(const std::string& path) const;
};

}  // namespace holdfast
