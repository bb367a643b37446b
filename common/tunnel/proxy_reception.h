// ProxyReception: an accepted socket that must tell whose it is, by a PROXY header, before it is an
// application's. What follows the header stays in the socket.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/base/network.h"
#include "common/io/loop.h"
#include "common/io/socket.h"
#include "common/wire/proxy_protocol.h"

namespace holdfast {

// A balancer sends its header with the connection's first segment (proxy-protocol.txt, section 2);
// the time is for one that was lost.
inline constexpr Duration kProxyHeaderPatience = seconds(5);

// One of the networks has the address: whoever is there may speak for others.
bool is_balancer(const std::vector<Network>& balancers, const Endpoint& source);

class ProxyReception final : public Poller::Watcher {
 public:
  struct Outcome {
    Descriptor socket;                 // if valid:
    Endpoint source;                   // the socket's own peer where the sender speaks for itself
    Endpoint destination;              // none there
    bool on_behalf = false;            // of another; else it speaks for itself, as checks do
    std::size_t header_size = 0;       // which was read
    std::string reason;                // else why it was closed, for people
    std::vector<std::uint8_t> seen{};  // and what it had said instead of a header
  };
  // Called once, never from within the constructor; may destroy this.
  using Callback = std::function<void(Outcome)>;

  ProxyReception(Loop& loop, Descriptor socket, Duration patience, Callback callback);

 private:
  void on_ready(std::uint32_t events) override;
  // What the socket has, of which only a whole header is taken.
  void read(bool ended);
  bool take(std::size_t size);
  void done(const ProxyHeader& header);
  void fail(const std::string& reason);
  void finish(Outcome outcome);

  Descriptor socket_;
  Callback callback_;
  std::vector<std::uint8_t> header_;  // seen so far; at most kMaxProxyHeader bytes
  Poller::Registration registration_;
  Timer deadline_;
};

}  // namespace holdfast
