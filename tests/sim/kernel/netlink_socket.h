// NetlinkSocket: rtnetlink(7) as far as it tells that addresses or routes changed.
#pragma once

#include "tests/sim/kernel/file.h"

namespace holdfast::sim {

class NetlinkSocket final : public File {
 public:
  NetlinkSocket() : File(Kind::netlink) {}

  // The host's network has changed.
  void tell();
  ssize_t read(MutableBytes buffer) override;
  std::uint32_t readiness() const override;

 private:
  int waiting_ = 0;  // messages
};

}  // namespace holdfast::sim
