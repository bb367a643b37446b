// A file of seeds' records: columns of all its seeds one behind the other, compressed (zstd).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "tests/record/tape.h"

namespace holdfast::record {

using Shard = std::vector<std::unique_ptr<SeedRecord>>;

Status save_shard(const std::string& path, const Shard& shard, int level);
Result<Shard> load_shard(const std::string& path);

}  // namespace holdfast::record
