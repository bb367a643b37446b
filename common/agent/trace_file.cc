#include "common/agent/trace_file.h"

#include <cerrno>
#include <system_error>

namespace holdfast {

Result<std::unique_ptr<TraceFile>> TraceFile::open(const std::string& path, std::string side) {
  std::FILE* file = std::fopen(path.c_str(), "ae");
  if (file == nullptr) {
    return Error{"cannot open " + path + ": " + std::generic_category().message(errno)};
  }
  return std::unique_ptr<TraceFile>(new TraceFile(file, std::move(side)));
}

void TraceFile::write(const LinkId& link, const std::vector<TraceEvent>& events) {
  if (events.empty()) return;
  std::string name = link.short_name();
  for (const TraceEvent& event : events) {
    std::string line = to_json(event, side_, name);
    line += '\n';
    std::fwrite(line.data(), 1, line.size(), file_.get());
  }
  std::fflush(file_.get());
}

}  // namespace holdfast
