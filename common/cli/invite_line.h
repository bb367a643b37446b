// What `invite` prints and `join` reads: all that a client needs, in one line without blanks.
//
//   holdfast1/NAME/HOST:PORT[,HOST:PORT...]/SERVICE[=PORT][,...]/ENDS/ID:KEY
//
// ENDS is `never` or an Instant (instant.h); a service's PORT is its target's, a suggestion where
// to listen. The line holds the key: it is a secret.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/config/address.h"
#include "common/config/instant.h"
#include "common/config/psk.h"

namespace holdfast {

struct Invite {
  struct Service {
    std::string name;
    std::uint16_t port = 0;  // 0: none suggested
    bool operator==(const Service&) const = default;
  };
  std::string name;                // the client's
  std::vector<TcpAddress> server;  // at least one
  std::vector<Service> services;   // at least one
  std::optional<Instant> expires;
  Psk key;
};

std::string format_invite(const Invite& invite);
// With or without one line end. The error says which part is wrong, and never repeats the key.
Result<Invite> parse_invite(std::string_view line);

}  // namespace holdfast
