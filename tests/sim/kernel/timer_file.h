// TimerFile: timerfd(2), absolute times only.
#pragma once

#include "common/base/time.h"
#include "tests/sim/kernel/file.h"

namespace holdfast::sim {

class Process;

class TimerFile final : public File {
 public:
  explicit TimerFile(Process& process) : File(Kind::timer), process_(process) {}

  void set_descriptor(int descriptor) { descriptor_ = descriptor; }
  void set(Time at);
  void look();  // the kernel's, when it may be due
  ssize_t read(MutableBytes buffer) override;
  std::uint32_t readiness() const override;

 private:
  bool due() const;

  Process& process_;
  int descriptor_ = -1;
  Time at_ = kNever;
};

}  // namespace holdfast::sim
