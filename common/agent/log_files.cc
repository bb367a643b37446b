#include "common/agent/log_files.h"

namespace holdfast {

void LogFiles::reopen() {
  if (logger_.has_file()) lacks_log_ = !tell(logger_.reopen(), "log");
  if (trace_ != nullptr) tell(trace_->reopen(), "trace");
}

void LogFiles::begin_without_log(const Error& reason) {
  lacks_log_ = !tell(reason, "log");
}

void LogFiles::begin_without_trace(const Error& reason) {
  tell(reason, "trace");
}

bool LogFiles::tell(const Status& reopened, const char* file) {
  if (reopened) {
    logger_.event(LogLevel::info, "log_reopened", {{"file", file}});
  } else {
    logger_.event(LogLevel::error, "log_reopen_failed",
                  {{"file", file}, {"reason", reopened.error().message}});
  }
  return reopened.ok();
}

}  // namespace holdfast
