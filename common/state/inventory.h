// The descriptors that a process finds in its table at its start: all that the one before it had.
#pragma once

#include <cstdint>
#include <vector>

namespace holdfast {

enum class DescriptorKind : std::uint8_t {
  poller,  // an epoll set
  listener,
  connection,
  other,
};

// All but standard input, output and error, in order; without a /proc, those below a bound.
std::vector<int> list_descriptors();
DescriptorKind kind_of_descriptor(int descriptor);
// A TCP or Unix stream socket, connected or once so.
bool is_stream_socket(int descriptor);

// As applications' sockets do that are not about to be closed in order.
bool resets_at_close(int descriptor);

// Nobody's any more. An application's socket ends as its linger says: reset, unless it was about to
// be closed in order. Any other connection is reset.
void close_leftover(int descriptor);

}  // namespace holdfast
