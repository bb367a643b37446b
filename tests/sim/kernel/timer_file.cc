#include "tests/sim/kernel/timer_file.h"

#include <cerrno>
#include <cstring>

#include "tests/sim/kernel/kernel.h"
#include "tests/sim/kernel/process.h"

namespace holdfast::sim {

void TimerFile::set(Time at) {
  at_ = at;
  if (at == kNever) return;
  process_.kernel().schedule(at, Kernel::Kind::timer, process_.number(),
                             static_cast<std::uint64_t>(descriptor_));
}

bool TimerFile::due() const {
  return process_.kernel().now() >= at_;
}

void TimerFile::look() {
  if (due()) notify(EPOLLIN);
}

ssize_t TimerFile::read(MutableBytes buffer) {
  if (!due()) {
    errno = EAGAIN;
    return -1;
  }
  at_ = kNever;
  std::uint64_t expirations = 1;
  std::memcpy(buffer.data(), &expirations, sizeof expirations);
  return sizeof expirations;
}

std::uint32_t TimerFile::readiness() const {
  return due() ? static_cast<std::uint32_t>(EPOLLIN) : 0U;
}

}  // namespace holdfast::sim
