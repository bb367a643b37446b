#include "common/base/descriptors.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdlib>

namespace holdfast {
namespace {

constexpr rlim_t kMostProbed = 64 * 1024;
constexpr int kLastStandard = 2;  // error, after input and output

std::vector<int> probed_descriptors() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) limit.rlim_cur = kMostProbed;
  auto end = static_cast<int>(std::min(limit.rlim_cur, kMostProbed));
  std::vector<int> found;
  for (int each = 0; each < end; ++each) {
    if (fcntl(each, F_GETFD) >= 0) found.push_back(each);
  }
  return found;
}

}  // namespace

std::vector<int> open_descriptors() {
  DIR* folder = opendir("/proc/self/fd");
  if (folder == nullptr) return probed_descriptors();
  std::vector<int> found;
  while (const dirent* entry = readdir(folder)) {
    char* end = nullptr;
    long number = std::strtol(entry->d_name, &end, 10);
    bool is_number = end != entry->d_name && *end == '\0';
    if (is_number && number != dirfd(folder)) found.push_back(static_cast<int>(number));
  }
  closedir(folder);
  std::sort(found.begin(), found.end());
  return found;
}

void occupy_standard_descriptors() {
  for (int each = 0; each <= kLastStandard; ++each) {
    if (fcntl(each, F_GETFD) >= 0) continue;
    // The lowest number that is free is this one.
    int direction = each == 0 ? O_WRONLY : O_RDONLY;
    if (open("/dev/null", direction) < 0) (void)open("/", O_PATH);
  }
}

}  // namespace holdfast
