// `connect SERVICE`: what an application of this host would do, with standard input and output.
#pragma once

#include <ostream>
#include <string>

#include "common/base/result.h"
#include "common/config/config.h"
#include "common/log/unique_fd.h"

namespace holdfast {

// Where an application of the agent's host connects for this service, as the config writes it: the
// first of its addresses that will do.
// Empty where a plain connect is not what the service is for: its socket comes from systemd, it
// takes intercepted connections, or asks for a PROXY header.
std::string join_address(const ClientServiceConfig& service);

// A blocking stream socket that is connected there. A wildcard address means this host.
Result<UniqueFd> connect_to(const Address& address);

// How a connection that was joined to two descriptors has ended.
enum class Joined {
  in_order,  // both directions to their ends
  broken,    // reset, or over before `in` was; all that came before was written to `out`
  no_in,     // `in` could not be read: the connection was reset
  no_out,    // `out` takes no more: likewise
};

// Copies `in` to the socket and the socket to `out` until both directions are over. The end of
// `in` becomes the end of what the socket sends, and the socket's end closes `out`, each while the
// other direction goes on. Where the process dies in between, the socket is reset (TCP): what was
// cut off never looks complete.
Joined join_both_ways(UniqueFd socket, int in, int out);

}  // namespace holdfast
