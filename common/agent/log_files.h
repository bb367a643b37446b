// The files that an agent writes to: its log and its protocol trace.
#pragma once

#include "common/agent/trace_file.h"
#include "common/log/log.h"

namespace holdfast {

class LogFiles {
 public:
  // Both outlive this; `trace` may be null.
  LogFiles(Logger& logger, TraceFile* trace) : logger_(logger), trace_(trace) {}

  // After logrotate(8) moved them away: opens both anew by their names, and says so in the log. A
  // file that cannot be opened stays the old one, with an error in the log, so that nothing is
  // lost.
  void reopen();
  // The process began without the file.
  void begin_without_log(const Error& reason);
  void begin_without_trace(const Error& reason);
  // The log's file could not be opened the last time.
  bool lacks_log() const { return lacks_log_; }

 private:
  bool tell(const Status& reopened, const char* file);

  Logger& logger_;
  TraceFile* trace_;
  bool lacks_log_ = false;
};

}  // namespace holdfast
