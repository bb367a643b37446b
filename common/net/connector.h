// Connector: a non-blocking connect to the first of several addresses that takes it, in turn,
// before a deadline.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "common/net/loop.h"
#include "common/net/socket.h"

namespace holdfast {

class Connector final : public Poller::Watcher {
 public:
  struct Outcome {
    Descriptor descriptor;  // connected, if valid
    SocketAddress address;
    int error = 0;  // of the last address: ETIMEDOUT for the deadline
  };
  // Called once, never from within start(); may destroy the connector.
  using Callback = std::function<void(Outcome)>;
  // Sets options before the connect.
  using Tune = void (*)(int descriptor, int family);

  Connector(Loop& loop, Tune tune, const DescriptorBudget* budget, Callback callback);

  // Done after Tune, before each connect; its errno, unless 0, is the address's error.
  using Prepare = std::function<int(int descriptor, int family)>;
  void set_prepare(Prepare prepare) { prepare_ = std::move(prepare); }

  // `addresses` is not empty. The time left is shared among the addresses not yet tried.
  void start(std::vector<SocketAddress> addresses, Time deadline);
  // Calls back now if it is known what came of it; else the timer or the poller will.
  void settle();

 private:
  void try_next();
  void try_address();
  void give_up_address(int error);
  void on_ready(std::uint32_t events) override;
  void on_timer();
  void finish();

  Loop& loop_;
  Tune tune_;
  Prepare prepare_;
  const DescriptorBudget* budget_;
  Callback callback_;
  std::vector<SocketAddress> addresses_;
  std::size_t next_ = 0;
  Time deadline_{};
  Time address_deadline_{};
  bool retry_ = false;  // a Unix listener's queue is full: the same address again
  Outcome outcome_;
  bool finished_ = false;
  Descriptor descriptor_;
  std::optional<Poller::Registration> registration_;
  Timer timer_;
};

}  // namespace holdfast
