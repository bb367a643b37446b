// The file of [log] trace_file: every event of the protocol, one JSON object a line.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/core/trace.h"
#include "common/log/unique_fd.h"

namespace holdfast {

// Any thread.
class TraceFile {
 public:
  // Appends. `side` is "client" or "server".
  static Result<std::unique_ptr<TraceFile>> open(const std::string& path, std::string side);

  // A turn's events; they are in the file when this returns, or lost for good: the disk is full.
  void write(const LinkId& link, const std::vector<TraceEvent>& events);
  // Opens the file anew by its name. The old one stays when that fails.
  Status reopen();

 private:
  TraceFile(UniqueFd file, std::string path, std::string side)
      : file_(std::move(file)), path_(std::move(path)), side_(std::move(side)) {}

  std::mutex mutex_;
  UniqueFd file_;
  std::string path_;
  std::string side_;
  bool torn_ = false;  // the file ends within a line
};

}  // namespace holdfast
