#include "common/agent/trace_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "common/base/remedy.h"

namespace holdfast {
namespace {

Result<UniqueFd> open_file(const std::string& path) {
  UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
  if (!file) {
    int error = errno;
    return Error{"cannot open the trace file " + path + ": " +
                 std::generic_category().message(error) + write_remedy(error)};
  }
  return file;
}

}  // namespace

Result<std::unique_ptr<TraceFile>> TraceFile::open(const std::string& path, std::string side) {
  Result<UniqueFd> file = open_file(path);
  if (!file) return file.error();
  return std::unique_ptr<TraceFile>(new TraceFile(std::move(*file), path, std::move(side)));
}

Status TraceFile::reopen() {
  Result<UniqueFd> file = open_file(path_);
  if (!file) return file.error();
  std::lock_guard lock(mutex_);
  file_ = std::move(*file);
  torn_ = false;
  return Ok{};
}

void TraceFile::write(const LinkId& link, const std::vector<TraceEvent>& events) {
  if (events.empty()) return;
  std::lock_guard lock(mutex_);
  std::string name = link.short_name();
  std::string lines = torn_ ? "\n" : "";
  for (const TraceEvent& event : events) {
    lines += to_json(event, side_, name);
    lines += '\n';
  }
  std::size_t done = 0;
  while (done < lines.size()) {
    ssize_t taken = ::write(file_.get(), lines.data() + done, lines.size() - done);
    if (taken > 0) done += static_cast<std::size_t>(taken);
    if (taken < 0 && errno != EINTR) break;
  }
  if (done > 0) torn_ = lines[done - 1] != '\n';
}

}  // namespace holdfast
