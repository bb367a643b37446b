// Users, groups and modes, as a config gives them to the files of sockets.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/base/socket_access.h"

namespace holdfast {

// A user or a group by its name, or by its number. Looked up while the config is loaded, which no
// loop waits for.
struct Account {
  std::string name;
  std::optional<std::uint32_t> id{};  // nothing where the surroundings were ignored
  bool operator==(const Account&) const = default;
};
inline std::string to_string(const Account& account) {
  return account.name;
}

// "0660"
struct FileMode {
  mode_t bits = 0;
  bool operator==(const FileMode&) const = default;
};
Result<FileMode> parse_file_mode(std::string_view text);
std::string to_string(FileMode mode);

// The number; the error says that there is none, and how to make one.
Result<std::uint32_t> find_user(const std::string& name);
Result<std::uint32_t> find_group(const std::string& name);

SocketAccess socket_access(const std::optional<FileMode>& mode, const std::optional<Account>& user,
                           const std::optional<Account>& group);

}  // namespace holdfast
