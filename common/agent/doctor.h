// The steps of `doctor`, from one end of the way to the other; see common/cli/doctor.h.
//
// It waits, and asks the other side over a link of its own (probe_link.h): no agent's loop does so.
#pragma once

#include <functional>

#include "common/cli/doctor.h"
#include "common/config/config.h"

namespace holdfast {

// Is told every step in its order. The first one that is not good is the last one.
using TellStep = std::function<bool(Finding)>;

// Names, TCP, TLS, key, name, packets of full size, each service's grant and target; the clock
// where certificates are; whether the agent runs here.
void examine(const ClientConfig& config, const TellStep& tell);
// The agent or the addresses it would listen on, what a client with each key meets there, and each
// service's target.
void examine(const ServerConfig& config, const TellStep& tell);

}  // namespace holdfast
