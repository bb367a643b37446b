#include "common/config/accounts.h"

#include <grp.h>
#include <pwd.h>

#include <cerrno>
#include <charconv>
#include <system_error>
#include <vector>

namespace holdfast {
namespace {

// The most that getpwnam_r() and getgrnam_r() may need: a group may have very many members.
constexpr std::size_t kMostEntryBytes = std::size_t{16} << 20;

std::optional<std::uint32_t> number(const std::string& text) {
  std::uint32_t id = 0;
  auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), id);
  // The largest is none: chown(2) leaves as it is what it is given for.
  bool whole = failure == std::errc() && end == text.data() + text.size();
  if (!whole || id == UINT32_MAX) return std::nullopt;
  return id;
}

// `get` is getpwnam_r() or getgrnam_r(). errno, or 0, and the entry if there is one.
template <typename Entry, typename Get>
int find(const std::string& name, Get get, std::vector<char>& buffer, Entry& entry, Entry** found) {
  for (std::size_t size = 16384;; size *= 4) {
    buffer.resize(size);
    int error = get(name.c_str(), &entry, buffer.data(), buffer.size(), found);
    if (error != ERANGE || size >= kMostEntryBytes) return error;
  }
}

Error missing(const std::string& kind, const std::string& name, int error) {
  // Some sources say by an error that there is none (getpwnam(3)).
  bool none = error == 0 || error == ENOENT || error == ESRCH || error == EBADF || error == EPERM;
  return Error{"there is no " + kind + " \"" + name + "\" on this machine" +
               (none ? "" : ": " + std::generic_category().message(error))};
}

}  // namespace

Result<FileMode> parse_file_mode(std::string_view text) {
  unsigned bits = 0;
  auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), bits, 8);
  bool whole = failure == std::errc() && end == text.data() + text.size();
  if (!whole || text.size() < 3 || text.size() > 4 || bits > 0777) {
    return Error{"\"" + std::string(text) +
                 "\" is not a mode: write it as chmod does, as in \"0660\""};
  }
  return FileMode{bits};
}

std::string to_string(FileMode mode) {
  std::string text = "0";
  for (unsigned shift : {6U, 3U, 0U}) text += static_cast<char>('0' + ((mode.bits >> shift) & 7U));
  return text;
}

Result<std::uint32_t> find_user(const std::string& name) {
  if (auto id = number(name)) return *id;
  std::vector<char> buffer;
  passwd entry{};
  passwd* found = nullptr;
  int error = find(name, getpwnam_r, buffer, entry, &found);
  if (found == nullptr) return missing("user", name, error);
  return std::uint32_t{entry.pw_uid};
}

Result<std::uint32_t> find_group(const std::string& name) {
  if (auto id = number(name)) return *id;
  std::vector<char> buffer;
  group entry{};
  group* found = nullptr;
  int error = find(name, getgrnam_r, buffer, entry, &found);
  if (found == nullptr) return missing("group", name, error);
  return std::uint32_t{entry.gr_gid};
}

SocketAccess socket_access(const std::optional<FileMode>& mode, const std::optional<Account>& user,
                           const std::optional<Account>& group) {
  SocketAccess access;
  if (mode) access.mode = mode->bits;
  if (user) access.user = user->id;
  if (group) access.group = group->id;
  return access;
}

}  // namespace holdfast
