// Parking: all that is open goes to the service manager while no process of ours lives, and comes
// back to the next keeper under the numbers it had. So the state's records, which name descriptors,
// stay true, and the next agent finds what it would find after a death.
//
//   keeper --descriptors in messages--> queue of one socket --FDSTORE=1--> systemd ... next keeper
//
// systemd holds one descriptor, whatever the number of connections (sd_notify(3), unix(7)). An
// agent whose keeper was killed does the same before it ends. What comes back stays in the store
// until an agent has committed: if that does not come to it, the next keeper finds the same.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/keeper/page.h"

namespace holdfast {

// Its name in systemd's store.
inline constexpr const char* kParkedName = "parked";

// True: a service manager listens to this process.
bool has_service_manager();
// True: it started the keeper itself, so it gives to the next one what it stores. Whether it stores
// anything shows only when it is asked to.
bool is_service(pid_t keeper);

// A socket whose queue has descriptors, and the one that wrote them.
struct ParkedQueue {
  int read_end = -1;
  int write_end = -1;  // hangs up when nobody has the other one any more
};

// Puts the text and the descriptors, in ascending order, into the queue of a socket, all of them or
// none.
Result<ParkedQueue> fill_queue(const std::string& text, const std::vector<int>& descriptors);

// Hands the socket to the service manager and waits until it has it; nobody else has it then.
Status store_parked(ParkedQueue queue);

// Both, with all that agents have opened. `reason`: parked or orphaned, for the next agent. After
// an error, which errno is about as well, everything is still here.
Status park(Page& page, StartReason reason);

// It has it no more, or is about to. False: it could not be told.
bool forget_parked();
// Likewise, if the page says that it has it, and waits until nobody has it but this process and its
// keeper: what is closed is closed then. `write_end`: -1, or as unpack_queue() gave it; closed.
void let_go_of_parked(Page& page, int write_end);

// The socket that was stored, if this process was started with one. LISTEN_FDS does not count it
// any more. Before other threads.
std::optional<int> take_parked();

struct Unpacked {
  std::string text;
  int write_end = -1;  // of the queue; -1: it has no room
};
// Looks at what is in the queue and closes it: every descriptor has its number again; whoever else
// has the queue has them as well. After an error all of them are closed.
Result<Unpacked> unpack_queue(int queue);

}  // namespace holdfast
