#include "common/keeper/leftovers.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>

namespace holdfast {
namespace {

bool is_event_set(int descriptor) {
  char target[64];
  std::string link = "/proc/self/fd/" + std::to_string(descriptor);
  ssize_t size = readlink(link.c_str(), target, sizeof target);
  return std::string(target, size > 0 ? static_cast<std::size_t>(size) : 0) ==
         "anon_inode:[eventpoll]";
}

bool is_agents(const Page& page, int descriptor) {
  const std::int32_t* end = page.started_with + page.started_with_count;
  return descriptor > STDERR_FILENO && std::find(page.started_with, end, descriptor) == end;
}

}  // namespace

void note_started_with(Page& page) {
  page.started_with_count = 0;
  for (int descriptor : open_descriptors()) {
    if (page.started_with_count == kMostStartedWith) return;
    page.started_with[page.started_with_count++] = descriptor;
  }
}

std::vector<int> agents_descriptors(const Page& page) {
  std::vector<int> found = open_descriptors();
  std::erase_if(found, [&page](int each) { return !is_agents(page, each) || is_event_set(each); });
  return found;
}

void close_leftovers(const Page& page) {
  for (int descriptor : open_descriptors()) {
    if (is_agents(page, descriptor) && is_event_set(descriptor)) close(descriptor);
  }
  for (int descriptor : agents_descriptors(page)) close(descriptor);
}

bool keep_over_exec() {
  for (int descriptor : open_descriptors()) {
    if (fcntl(descriptor, F_SETFD, 0) != 0) return false;
  }
  return true;
}

}  // namespace holdfast
