// Several new files, all of them or none.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "common/base/result.h"

namespace holdfast {

// Who owns a file; -1 leaves what the process has.
struct Owner {
  uid_t user = static_cast<uid_t>(-1);
  gid_t group = static_cast<gid_t>(-1);
};

class FileBatch {
 public:
  FileBatch() = default;
  FileBatch(const FileBatch&) = delete;
  FileBatch& operator=(const FileBatch&) = delete;
  ~FileBatch();  // takes away what was made, unless keep() was called

  // Makes the folder unless it is there.
  Status folder(const std::string& path, mode_t mode, const Owner& owner);
  // A file that is not there yet. It appears with all of its text, or not at all. The error names
  // it.
  Status add(const std::string& path, const std::string& text, mode_t mode, const Owner& owner);
  // Puts a file out of the way, where no agent reads it; it comes back unless keep() is called.
  Status set_aside(const std::string& path);

  // What was made stays, and what was set aside is gone.
  void keep();

 private:
  std::vector<std::string> files_, folders_;
  std::vector<std::pair<std::string, std::string>> aside_;  // where it was, where it is
};

}  // namespace holdfast
