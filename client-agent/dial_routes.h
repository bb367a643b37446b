// DialRoutes: where a link may be dialled, and for whom each hello is.
//
// A link that no server has yet goes to any address of the config. One that is bound to a server
// behind a balancer goes home: to the server's own address, and through the balancer with the
// home's name. Where that fails though the balancer is there, another server may tell that the home
// is away (PROTOCOL.md, rule 4): then the link is also dialled as if it were bound to none.
//
//   home address known:  its own address -- kHeadStart, or a failure --> beside it, the balancer
//   home name known:     the balancer, by name -- a handshake failed --> also without the name
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/core/dialer.h"
#include "common/io/socket.h"

namespace holdfast {

struct DialRoute {
  SocketAddress address;
  std::string sni{};  // the home's name; empty: what the config says
  bool operator==(const DialRoute&) const = default;
};

// By what a bound link finds its server again; empty: by nothing.
struct DialHome {
  std::string name;
  std::optional<HostPort> address;
  bool only = false;  // nobody else's answer is wanted: what is new goes over another link
  bool empty() const { return name.empty() && !address; }
  bool operator==(const DialHome&) const = default;
};

class DialRoutes {
 public:
  // Another home, or none.
  void set_home(DialHome home);
  const DialHome& home() const { return home_; }

  // A carrier is wanted from `now` on; or the link is up, and what was known of failures is over.
  void begin(Time now);
  void start_over();
  // A dial came to nothing. Where it reached somebody the network is there.
  void failed(const DialRoute& route, Dialer::Reached reached);

  // The routes at this moment, the first one being the best, and when there may be more of them.
  // `servers`: of the config. `own`: of the home's address.
  std::vector<DialRoute> at(Time now, const std::vector<SocketAddress>& servers,
                            const std::vector<SocketAddress>& own) const;
  Time next_timeout(Time now) const;

 private:
  bool balancer_too(Time now) const;

  DialHome home_;
  std::optional<Time> began_;
  bool own_failed_ = false;  // the home's own address
  bool away_ = false;        // the balancer has no home to lead to
};

}  // namespace holdfast
