// TargetConnect: a backend being connected for a stream: look-up, then every address (Connector).
//
// A name's last good addresses are used when a new answer is not there at once, and what the answer
// adds is tried beside them.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/io/connector.h"
#include "common/io/resolver.h"
#include "common/wire/cause.h"
#include "common/wire/proxy_protocol.h"

namespace holdfast {

struct Target {
  NetAddress address;
  Duration connect_timeout = seconds(10);
  bool operator==(const Target&) const = default;
};

// What is done for one stream on the way to its target.
struct Approach {
  std::optional<ProxyVersion> send_proxy;  // a header before the stream's first byte
  bool from_source = false;                // connects from the source's address, any port
  Endpoint source;                         // the application's address
  Endpoint destination;                    // where it meant to go, if that is known
  std::string connection;                  // id: for the header
};

class TargetConnect {
 public:
  struct Outcome {
    Descriptor socket;  // connected, if valid; else
    Cause cause = Cause::none;
    SocketAddress address;        // that it is connected to
    bool from_source = false;     // its own address is the application's
    std::size_t header_size = 0;  // of the PROXY header that was written
  };
  // Called once, never from within the constructor; may destroy this.
  using Callback = std::function<void(Outcome)>;

  TargetConnect(Loop& loop, Resolver& resolver, const DescriptorBudget& budget,
                const Target& target, Approach approach, Callback callback);
  TargetConnect(const TargetConnect&) = delete;
  TargetConnect& operator=(const TargetConnect&) = delete;

  // Calls back now if it is known what came of it, as it mostly is where the target is on this
  // host.
  void settle();

 private:
  int take_source(int descriptor, int family);
  Cause cause_of(int error) const;
  // The size of what was said, which may be nothing; nothing where it could not be.
  std::optional<std::size_t> announce(const Connector::Outcome& connected) const;
  void look_up();
  void answered(const Resolver::Answer& answer);
  void on_timer();
  void connect_to(std::vector<SocketAddress> addresses, Time more_until = {});
  void tell(Connector::Outcome connected);
  void fail(Cause cause);

  Loop& loop_;
  Resolver& resolver_;
  const DescriptorBudget& budget_;
  std::optional<HostPort> name_;      // nothing: an address
  std::vector<SocketAddress> known_;  // its last good addresses
  SocketAddress first_;               // the address tried first
  Time deadline_;
  Approach approach_;
  Callback callback_;
  std::unique_ptr<Resolver::Question> question_;
  std::unique_ptr<Connector> connector_;
  int source_error_ = 0;          // of taking the source's address, at the last address tried
  std::optional<Cause> failure_;  // what the timer tells
  Timer timer_;
};

// What a failed connect(2) means for the stream.
Cause connect_cause(int error);

}  // namespace holdfast
