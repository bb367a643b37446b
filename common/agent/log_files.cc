#include "common/agent/log_files.h"

namespace holdfast {

void LogFiles::reopen() {
  if (logger_.has_file()) tell(logger_.reopen(), "log");
  if (trace_ != nullptr) tell(trace_->reopen(), "trace");
}

void LogFiles::tell(const Status& reopened, const char* file) {
  if (reopened) {
    logger_.event(LogLevel::info, "log_reopened", {{"file", file}});
  } else {
    logger_.event(LogLevel::error, "log_reopen_failed",
                  {{"file", file}, {"reason", reopened.error().message}});
  }
}

}  // namespace holdfast
