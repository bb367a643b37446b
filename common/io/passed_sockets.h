// Sockets that a service manager made and passed in (socket activation: sd_listen_fds(3),
// systemd.socket(5)). They have names (FileDescriptorName=); several may share one.
//
// They stay the manager's: nothing here or above closes, binds or unlinks them. What is given out
// are copies of the descriptors, so that a listener may go and come back (a reload), and a listener
// that is gone leaves who connects in the kernel's queue, for the next one.
#pragma once

#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/io/socket.h"

namespace holdfast {

enum class PassedKinds : std::uint8_t { tcp, tcp_and_unix };

// Non-blocking, close-on-exec copies of every socket of that name, at least one. The error says
// which setting of the socket's unit to change: none of the name, not a listening stream socket, or
// of a kind that is not taken here.
Result<std::vector<Descriptor>> passed_sockets(const std::string& name, PassedKinds kinds);

// Names that were passed, each once, in their order; empty without a service manager.
std::vector<std::string> passed_names();

// The descriptors that were passed, as they were.
std::vector<int> passed_descriptors();

}  // namespace holdfast
