#include "tests/sim/kernel/epoll.h"

#include <algorithm>
#include <cerrno>

#include "tests/sim/kernel/process.h"

namespace holdfast::sim {
namespace {

constexpr std::uint32_t kAlways = EPOLLERR | EPOLLHUP;
constexpr std::uint32_t kModes = EPOLLET | EPOLLONESHOT | EPOLLWAKEUP | EPOLLEXCLUSIVE;

}  // namespace

File::~File() {
  while (!watches_.empty()) watches_.back()->set->remove(*watches_.back());
}

ssize_t File::read(MutableBytes) {
  errno = EINVAL;
  return -1;
}

void File::notify(std::uint32_t events) {
  for (std::size_t i = 0; i < watches_.size(); ++i) watches_[i]->set->told(*watches_[i], events);
}

Epoll::~Epoll() {
  while (!members_.empty()) remove(*members_.begin()->second);
}

std::uint32_t Epoll::of_interest(const Interest& watch) {
  return watch.file->readiness() & ((watch.wanted.events & ~kModes) | kAlways);
}

int Epoll::control(int operation, File& file, const epoll_event* event) {
  auto found = members_.find(&file);
  bool member = found != members_.end();
  if (member == (operation == EPOLL_CTL_ADD)) {
    errno = member ? EEXIST : ENOENT;
    return -1;
  }
  if (operation == EPOLL_CTL_DEL) {
    remove(*found->second);
    return 0;
  }
  if (!member) {
    Interest& fresh = idle_.emplace_back();
    fresh.set = this;
    fresh.file = &file;
    fresh.place = std::prev(idle_.end());
    file.watches_.push_back(&fresh);
    found = members_.emplace(&file, &fresh).first;
  }
  Interest& watch = *found->second;
  watch.wanted = *event;
  if (of_interest(watch) != 0) told(watch, kAlways);
  return 0;
}

void Epoll::remove(Interest& watch) {
  std::erase(watch.file->watches_, &watch);
  members_.erase(watch.file);
  (watch.ready ? ready_ : idle_).erase(watch.place);
}

void Epoll::told(Interest& watch, std::uint32_t events) {
  if ((events & (watch.wanted.events | kAlways)) == 0) return;
  if (!watch.ready) {
    ready_.splice(ready_.end(), idle_, watch.place);
    watch.ready = true;
  }
  notify(EPOLLIN);
  process_.wake();
}

std::uint32_t Epoll::readiness() const {
  bool any = std::any_of(ready_.begin(), ready_.end(),
                         [](const Interest& watch) { return of_interest(watch) != 0; });
  return any ? static_cast<std::uint32_t>(EPOLLIN) : 0U;
}

int Epoll::collect(epoll_event* events, int most) {
  process_.waited_on(*this);
  int count = 0;
  for (std::size_t left = ready_.size(); left > 0 && count < most; --left) {
    Interest& watch = ready_.front();
    std::uint32_t now = of_interest(watch);
    if (now == 0 || (watch.wanted.events & EPOLLET) != 0) {
      watch.ready = false;
      idle_.splice(idle_.end(), ready_, watch.place);
    } else {
      ready_.splice(ready_.end(), ready_, watch.place);
    }
    if (now == 0) continue;
    events[count].events = now;
    events[count].data = watch.wanted.data;
    count += 1;
  }
  return count;
}

}  // namespace holdfast::sim
