#include "common/cli/file_batch.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "common/log/unique_fd.h"

namespace holdfast {
namespace {

Error trouble(const std::string& path, const char* what, int error) {
  return Error{path + ": cannot " + what + " it: " + std::strerror(error)};
}

// No fragment, and nobody's but this process's.
std::string hidden(const std::string& path, const char* why) {
  std::size_t slash = path.rfind('/');
  std::size_t begin = slash == std::string::npos ? 0 : slash + 1;
  return path.substr(0, begin) + "." + path.substr(begin) + "." + why + "-" +
         std::to_string(::getpid());
}

int write_file(int fd, const std::string& text) {
  std::size_t done = 0;
  while (done < text.size()) {
    ssize_t size = ::write(fd, text.data() + done, text.size() - done);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return errno;
    done += static_cast<std::size_t>(size);
  }
  return ::fsync(fd) == 0 ? 0 : errno;
}

}  // namespace

FileBatch::~FileBatch() {
  for (const std::string& each : files_) ::unlink(each.c_str());
  for (const auto& [was, is] : aside_) ::rename(is.c_str(), was.c_str());
  for (auto each = folders_.rbegin(); each != folders_.rend(); ++each) ::rmdir(each->c_str());
}

Status FileBatch::folder(const std::string& path, mode_t mode, const Owner& owner) {
  if (::mkdir(path.c_str(), mode) != 0) {
    struct stat status {};
    if (errno == EEXIST && ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) {
      return Ok{};
    }
    return trouble(path, "make", errno);
  }
  folders_.push_back(path);
  if (::chown(path.c_str(), owner.user, owner.group) != 0 || ::chmod(path.c_str(), mode) != 0) {
    return trouble(path, "give", errno);
  }
  return Ok{};
}

Status FileBatch::add(const std::string& path, const std::string& text, mode_t mode,
                      const Owner& owner) {
  std::string made = hidden(path, "new");
  UniqueFd fd(::open(made.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return trouble(path, "write", errno);
  int error = write_file(fd.get(), text);
  if (error == 0 && ::fchown(fd.get(), owner.user, owner.group) != 0) error = errno;
  if (error == 0 && ::fchmod(fd.get(), mode) != 0) error = errno;
  // link(2) never takes the place of what is there.
  if (error == 0 && ::link(made.c_str(), path.c_str()) != 0) error = errno;
  ::unlink(made.c_str());
  if (error != 0) return trouble(path, "write", error);
  files_.push_back(path);
  return Ok{};
}

Status FileBatch::set_aside(const std::string& path) {
  std::string away = hidden(path, "gone");
  if (::rename(path.c_str(), away.c_str()) != 0) return trouble(path, "remove", errno);
  aside_.emplace_back(path, away);
  return Ok{};
}

void FileBatch::keep() {
  for (const auto& [was, is] : aside_) ::unlink(is.c_str());
  files_.clear();
  folders_.clear();
  aside_.clear();
}

}  // namespace holdfast
