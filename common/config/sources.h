// The files that one config is made of: the main file, and fragments in folders beside it.
//
// Beside /etc/holdfast/client.toml these are /etc/holdfast/conf.d/*.toml, which every config in
// that folder has, and /etc/holdfast/client.d/*.toml, its own; in the order of their names' bytes.
// A name that begins with a dot or does not end in .toml (a backup, an editor's lock, a package
// manager's old copy) is no fragment. All else that ends in .toml must be readable: a folder, a
// link without a target or a pipe is a fault, because whoever put it there thinks it is read.
#pragma once

#include <cstddef>
#include <string>
#include <variant>
#include <vector>

#include "common/config/files.h"

namespace holdfast {

// Of both folders together. Far above one fragment for each client of a large server.
inline constexpr std::size_t kMaxFragments = 4096;

struct ConfigSource {
  std::string path;  // for people; relative when the main file's is
  std::variant<std::string, FileFault> content;
};

// The main file first. Alone, when it cannot be read. A folder that cannot be read is a source with
// a fault, and so is the fragment that makes all files together larger than kMaxConfigBytes
// (text_guard.h) or more than kMaxFragments; none follows it.
std::vector<ConfigSource> read_sources(const std::string& path);

}  // namespace holdfast
