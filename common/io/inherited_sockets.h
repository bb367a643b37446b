// Listening sockets of a process before this one, which this one has in its table: who binds one of
// their addresses takes the socket instead, with all who wait in its queue.
#pragma once

#include <vector>

#include "common/io/socket.h"

namespace holdfast {

class InheritedSockets {
 public:
  void add(Descriptor listener) { sockets_.push_back(std::move(listener)); }
  // One that is bound to the address and takes others' addresses or does not, as wanted; not valid:
  // there is none, or its file is gone.
  Descriptor take(const SocketAddress& address, bool transparent);
  // Closes what nobody has taken.
  void clear() { sockets_.clear(); }

 private:
  std::vector<Descriptor> sockets_;
};

}  // namespace holdfast
