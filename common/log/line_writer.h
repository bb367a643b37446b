// LineWriter: whole lines to a descriptor, from one thread, without ever hanging at exit.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/log/unique_fd.h"

namespace holdfast {

class LineWriter {
 public:
  // Empty: standard error.
  static Result<UniqueFd> open_file(const std::string& path);

  explicit LineWriter(UniqueFd file) : file_(std::move(file)) {}
  ~LineWriter();

  // False: nobody took it in time, or it cannot be written. `line` has no line end. A reader that
  // stalls is waited for until give_up_at(). A line that was written in part (a disk that became
  // full) is ended before the next one.
  bool write(std::string_view line);

  // Any thread.
  void replace_file(UniqueFd file);
  void give_up_at(std::int64_t monotonic_ms) { give_up_at_ms_.store(monotonic_ms); }

 private:
  bool wait_writable(int fd) const;

  UniqueFd file_;  // none: standard error
  std::atomic<int> next_file_{-1};
  std::atomic<std::int64_t> give_up_at_ms_{INT64_MAX};
  bool torn_ = false;  // the descriptor's last line has no end
  std::string buffer_;
};

std::int64_t monotonic_ms();

}  // namespace holdfast
