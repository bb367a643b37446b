// What the config tests share: looking for one problem among many, and files of their own.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "common/base/with_systemd.h"
#include "common/config/problem.h"
#include "tests/catch.h"
#include "tests/source_folder.h"

namespace holdfast::test {

// The words of the toml11 that is here: 3's or 4's.
inline const char* words(const char* of_3, const char* of_4) {
#if __has_include(<toml11/version.hpp>)
  static_cast<void>(of_3);
  return of_4;
#else
  static_cast<void>(of_4);
  return of_3;
#endif
}

// What an agent listens at, by a passed socket where this build takes any.
inline const std::string kPassedOrUnix = kWithSystemd ? "systemd:web" : "unix:/run/web";

// One mistake that a text must be told of, and no other.
struct Expected {
  int line;
  std::string key;
  std::string reason;  // a part of it
  std::string hint;    // a part of it
};

inline std::vector<Problem> of_severity(const std::vector<Problem>& problems, Severity severity) {
  std::vector<Problem> found;
  for (const Problem& problem : problems) {
    if (problem.severity == severity) found.push_back(problem);
  }
  return found;
}

inline void require_one(const std::vector<Problem>& problems, Severity severity,
                        const Expected& expected) {
  INFO(format_problems(problems));
  const std::vector<Problem> found = of_severity(problems, severity);
  REQUIRE(found.size() == 1);
  CHECK(found[0].line == expected.line);
  CHECK(found[0].key == expected.key);
  CHECK_THAT(found[0].reason, ContainsSubstring(expected.reason));
  CHECK_THAT(found[0].hint, ContainsSubstring(expected.hint));
}

inline std::string replaced(std::string text, const std::string& old, const std::string& with) {
  const std::size_t at = text.find(old);
  REQUIRE(at != std::string::npos);
  return text.replace(at, old.size(), with);
}

// A file of the source tree, by its path from the root.
inline std::string from_tree(const std::string& path) {
  std::ifstream file(source_folder() / path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  INFO(path);
  REQUIRE(file.good());
  REQUIRE_FALSE(text.str().empty());
  return text.str();
}

// A folder that goes away with everything in it.
class Folder {
 public:
  Folder() {
    char name[] = "/tmp/holdfast-config-XXXXXX";
    const char* made = mkdtemp(name);
    REQUIRE(made != nullptr);
    path_ = made;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    const std::string command = "rm -rf '" + path_ + "'";
    if (std::system(command.c_str()) != 0) WARN("left behind: " << path_);
  }

  const std::string& path() const { return path_; }

  // A folder in it. Its path.
  std::string make_folder(const std::string& name) const {
    const std::string folder = path_ + "/" + name;
    REQUIRE(mkdir(folder.c_str(), 0755) == 0);
    return folder;
  }

  std::string write(const std::string& name, const std::string& text, mode_t mode = 0600) const {
    const std::string file = path_ + "/" + name;
    unlink(file.c_str());  // it may be one that only root could write to
    std::ofstream(file, std::ios::binary) << text;
    REQUIRE(chmod(file.c_str(), mode) == 0);
    return file;
  }

 private:
  std::string path_;
};

}  // namespace holdfast::test
