// Reading the files that a config is made of and names: regular ones, of bounded size.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>

#include "common/config/psk.h"

namespace holdfast {

inline constexpr std::string_view kCredentialPrefix = "credential:";

enum class Privacy {
  open,    // anybody may read it
  secret,  // its owner only; root's also its group, for reading: what containers mount
};

// The whole file, or why not. Never waits: a pipe or device is refused unread. The mode is that of
// the file which was opened, so nothing can be swapped in between. A credential: may be readable by
// its group: systemd grants the service's user access by an ACL, whose mask shows as group bits.
std::variant<std::string, FileFault> read_file(const std::string& path, std::size_t max_bytes,
                                               Privacy privacy);

// `path` as the config file means it: absolute ones and credential:NAME unchanged, others under the
// folder of `config_path`.
std::string resolve_path(const std::string& path, const std::string& config_path);

}  // namespace holdfast
