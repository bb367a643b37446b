// The file of [log] trace_file: every event of the protocol, one JSON object a line.
#pragma once

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/core/trace.h"

namespace holdfast {

class TraceFile {
 public:
  // Appends. `side` is "client" or "server".
  static Result<std::unique_ptr<TraceFile>> open(const std::string& path, std::string side);

  // A turn's events; they are in the file when this returns.
  void write(const LinkId& link, const std::vector<TraceEvent>& events);

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  TraceFile(std::FILE* file, std::string side) : file_(file), side_(std::move(side)) {}

  std::unique_ptr<std::FILE, Close> file_;
  std::string side_;
};

}  // namespace holdfast
