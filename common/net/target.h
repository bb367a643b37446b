// TargetConnect: a backend being connected for a stream: look-up, then every address in turn.
#pragma once

#include <functional>
#include <memory>

#include "common/net/connector.h"
#include "common/net/resolver.h"
#include "common/wire/cause.h"

namespace holdfast {

struct Target {
  NetAddress address;
  Duration connect_timeout = seconds(10);
};

class TargetConnect {
 public:
  struct Outcome {
    Descriptor socket;  // connected, if valid; else
    Cause cause = Cause::none;
    bool is_unix = false;
  };
  // Called once, never from within the constructor; may destroy this.
  using Callback = std::function<void(Outcome)>;

  TargetConnect(Loop& loop, Resolver& resolver, const DescriptorBudget& budget,
                const Target& target, Callback callback);
  TargetConnect(const TargetConnect&) = delete;
  TargetConnect& operator=(const TargetConnect&) = delete;

 private:
  void look_up(Resolver& resolver, const HostPort& address);
  void connect_to(std::vector<SocketAddress> addresses);
  void fail(Cause cause);

  Loop& loop_;
  const DescriptorBudget& budget_;
  Time deadline_;
  Callback callback_;
  std::unique_ptr<Resolver::Question> question_;
  std::unique_ptr<Connector> connector_;
  Cause failure_ = Cause::target_timeout;  // what the timer tells
  Timer timer_;
};

// What a failed connect(2) means for the stream.
Cause connect_cause(int error);

}  // namespace holdfast
