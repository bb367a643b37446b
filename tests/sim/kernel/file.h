// File: what a descriptor of the simulated kernel stands for, as an epoll set sees it.
#pragma once

#include <sys/epoll.h>

#include <cstdint>
#include <vector>

#include "common/base/bytes.h"

namespace holdfast::sim {

class Epoll;
struct Interest;

class File {
 public:
  enum class Kind : std::uint8_t { socket, epoll, timer, netlink, libuv, duplicate };

  explicit File(Kind kind) : kind_(kind) {}
  virtual ~File();  // leaves the sets that it is in, as a closed file does
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  Kind kind() const { return kind_; }
  // What poll(2) would say: EPOLL* bits.
  virtual std::uint32_t readiness() const = 0;
  // As read(2), for those that have it.
  virtual ssize_t read(MutableBytes buffer);

  // Some of these bits may have come true: whoever waits for them looks.
  void notify(std::uint32_t events);

 private:
  friend class Epoll;
  Kind kind_;
  std::vector<Interest*> watches_;  // few
};

}  // namespace holdfast::sim
