// ClientShare: what all links of one client have together at a server, on whatever loops they are.
#pragma once

#include <cstdint>

namespace holdfast {

// Bounds the shared memory of one direction, in bytes.
class MemoryBound {
 public:
  virtual void allow(std::uint64_t most) = 0;
  virtual std::uint64_t room() const = 0;
  // A stream's part changed; both are its shared bytes.
  virtual void change(std::uint64_t from, std::uint64_t to) = 0;

 protected:
  ~MemoryBound() = default;
};

class ClientShare {
 public:
  virtual void allow_streams(std::uint32_t most) = 0;
  // False: the client has as many as it may.
  virtual bool take_stream() = 0;
  virtual void give_back_stream() = 0;
  virtual MemoryBound& send() = 0;
  virtual MemoryBound& receive() = 0;

 protected:
  ~ClientShare() = default;
};

}  // namespace holdfast
