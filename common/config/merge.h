// Several files as one tree.
#pragma once

#include "common/config/report.h"
#include "common/config/toml_tree.h"

namespace holdfast {

// Adds the tables and keys of `from`, the root of file number `file`, to `into`, a root. Tables
// that stand in both are merged; any other key that does is an error that names both places, and
// the first of the two stays.
void merge(TomlNode& into, TomlNode from, int file, Report& report);

}  // namespace holdfast
