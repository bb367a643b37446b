#include "common/config/sources.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string_view>
#include <system_error>

#include "common/config/text_guard.h"

namespace holdfast {
namespace {

constexpr std::string_view kSuffix = ".toml";

bool is_fragment(std::string_view name) {
  return name.size() > kSuffix.size() && name.front() != '.' && name.ends_with(kSuffix);
}

FileFault folder_fault(const std::string& folder, int error) {
  const bool denied = error == EACCES || error == EPERM;
  const std::string what = "cannot read the folder: " + std::generic_category().message(error);
  if (denied) return FileFault{ProblemKind::permission, what, "give the agent's user r-x on it"};
  return FileFault{ProblemKind::config, what,
                   "make " + folder + " a folder of fragments, or remove it"};
}

// The names in it, sorted; none when there is no such folder.
std::variant<std::vector<std::string>, FileFault> list_fragments(const std::string& folder) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> open(opendir(folder.c_str()), closedir);
  if (open == nullptr) {
    const int error = errno;
    struct stat status {};
    // A link whose target is gone is there, and was meant.
    if (error == ENOENT && lstat(folder.c_str(), &status) != 0) return names;
    return folder_fault(folder, error);
  }
  errno = 0;
  while (const dirent* entry = readdir(open.get())) {
    if (is_fragment(entry->d_name)) names.emplace_back(entry->d_name);
    if (names.size() > kMaxFragments) break;
  }
  if (errno != 0) return folder_fault(folder, errno);
  std::sort(names.begin(), names.end());
  return names;
}

// conf.d and STEM.d beside the file; one, where they are the same.
std::vector<std::string> folders_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string beside = slash == std::string::npos ? "" : path.substr(0, slash + 1);
  std::string stem = path.substr(beside.size());
  const std::size_t dot = stem.rfind('.');
  if (dot != std::string::npos && dot > 0) stem.resize(dot);
  std::vector<std::string> folders = {beside + "conf.d"};
  if (stem != "conf") folders.push_back(beside + stem + ".d");
  return folders;
}

class Gatherer {
 public:
  explicit Gatherer(ConfigSource main) {
    bytes_ = std::get<std::string>(main.content).size();
    sources_.push_back(std::move(main));
  }

  // False when the limits are reached.
  bool add_folder(const std::string& folder) {
    auto names = list_fragments(folder);
    if (auto* fault = std::get_if<FileFault>(&names)) {
      sources_.push_back({folder, std::move(*fault)});
      return true;
    }
    const auto& found = std::get<std::vector<std::string>>(names);
    return std::all_of(found.begin(), found.end(),
                       [&](const std::string& name) { return add_file(folder + "/" + name); });
  }

  std::vector<ConfigSource> take() { return std::move(sources_); }

 private:
  bool add_file(const std::string& path) {
    if (sources_.size() > kMaxFragments) {
      return refuse(path, "more than " + std::to_string(kMaxFragments) + " fragments");
    }
    auto content = read_file(path, kMaxConfigBytes, Privacy::open);
    if (auto* fault = std::get_if<FileFault>(&content)) {
      if (fault->hint.empty()) {
        fault->hint = "every name in this folder that ends in .toml is read; remove or rename it";
      }
    } else {
      bytes_ += std::get<std::string>(content).size();
      if (bytes_ > kMaxConfigBytes) {
        return refuse(path, "with this file the config is larger than " +
                                std::to_string(kMaxConfigBytes) + " bytes");
      }
    }
    sources_.push_back({path, std::move(content)});
    return true;
  }

  bool refuse(const std::string& path, const std::string& reason) {
    sources_.push_back({path, FileFault{ProblemKind::config, reason, "what follows is not read"}});
    return false;
  }

  std::vector<ConfigSource> sources_;
  std::size_t bytes_ = 0;
};

}  // namespace

std::vector<ConfigSource> read_sources(const std::string& path) {
  ConfigSource main{path, read_file(path, kMaxConfigBytes, Privacy::open)};
  if (std::holds_alternative<FileFault>(main.content)) return {std::move(main)};
  Gatherer gatherer(std::move(main));
  for (const std::string& folder : folders_of(path)) {
    if (!gatherer.add_folder(folder)) break;
  }
  return gatherer.take();
}

}  // namespace holdfast
