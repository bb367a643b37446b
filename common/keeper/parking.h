// Parking: all that is open goes to the service manager while no process of ours lives, and comes
// back to the next keeper under the numbers it had. So the state's records, which name descriptors,
// stay true, and the next agent finds what it would find after a death.
//
//   keeper --descriptors in messages--> queue of one socket --FDSTORE=1--> systemd ... next keeper
//
// systemd holds one descriptor, whatever the number of connections (sd_notify(3), unix(7)).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/base/result.h"

namespace holdfast {

// Its name in systemd's store.
inline constexpr const char* kParkedName = "parked";

// True: a service manager listens to this process.
bool has_service_manager();

// Puts the text and the descriptors into the queue of a socket, all of them or none. The socket.
Result<int> fill_queue(const std::string& text, const std::vector<int>& descriptors);

// Hands the socket to the service manager and waits until it has it.
Status store_parked(int queue);
// It has it no more.
void forget_parked();

// The socket that was stored, if this process was started with one. LISTEN_FDS does not count it
// any more. Before other threads.
std::optional<int> take_parked();

// Empties the queue and closes it: every descriptor has its number again. The text. After an error
// all of them are closed.
Result<std::string> empty_queue(int queue);

}  // namespace holdfast
