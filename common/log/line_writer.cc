#include "common/log/line_writer.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "common/base/remedy.h"

namespace holdfast {

std::int64_t monotonic_ms() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1000000;
}

Result<UniqueFd> LineWriter::open_file(const std::string& path) {
  // O_NONBLOCK: a FIFO without a reader must not hang the start.
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0640));
  if (!fd) {
    int error = errno;
    return Error{"cannot open the log file " + path + ": " + std::strerror(error) +
                 write_remedy(error)};
  }
  return fd;
}

LineWriter::~LineWriter() {
  UniqueFd(next_file_.exchange(-1)).reset();
}

void LineWriter::replace_file(UniqueFd file) {
  UniqueFd(next_file_.exchange(file.release())).reset();
}

// poll() before every write: what a pipe reports as writable takes PIPE_BUF bytes at once
// (pipe(7)), so that a descriptor which we share and must not make non-blocking does not block us.
bool LineWriter::wait_writable(int fd) const {
  for (;;) {
    // In short turns: give_up_at() may come while we wait.
    std::int64_t left_ms = give_up_at_ms_.load() - monotonic_ms();
    pollfd entry{fd, POLLOUT, 0};
    int ready = ::poll(&entry, 1, static_cast<int>(std::clamp<std::int64_t>(left_ms, 0, 50)));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
    if (left_ms <= 0) return false;
  }
}

bool LineWriter::write(std::string_view line) {
  if (int next = next_file_.exchange(-1); next >= 0) {
    file_.reset(next);
    torn_ = false;
  }
  int fd = file_ ? file_.get() : STDERR_FILENO;
  buffer_.assign(torn_ ? "\n" : "").append(line).push_back('\n');
  std::string_view rest = buffer_;
  while (!rest.empty()) {
    if (!wait_writable(fd)) return false;
    ssize_t taken = ::write(fd, rest.data(), std::min<std::size_t>(rest.size(), PIPE_BUF));
    if (taken < 0 && errno != EINTR && errno != EAGAIN) return false;
    if (taken <= 0) continue;
    torn_ = rest[static_cast<std::size_t>(taken) - 1] != '\n';
    rest.remove_prefix(static_cast<std::size_t>(taken));
  }
  return true;
}

}  // namespace holdfast
