// What a server calls itself when its config does not say.
#pragma once

#include <string>
#include <vector>

#include "common/config/address.h"

namespace holdfast {

// The same at every start of an agent that listens on the same port of the same machine, whatever
// the host is called and whichever of its addresses it listens on: from /etc/machine-id (by a key
// of our own, so that it tells nothing about that), as machine-id(5) asks. Where the machine has
// none, random for each process. Never from what agents may have in common, such as a config or
// keys: servers with one name would end each other's links.
std::string default_server_name(const std::vector<ListenAddress>& listen,
                                const std::string& machine_id_file = "/etc/machine-id");

}  // namespace holdfast
