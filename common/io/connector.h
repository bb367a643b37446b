// Connector: a connect to one of several addresses, before a deadline, as RFC 8305 has it: the next
// address is tried when the one before has failed, or has said nothing for 250 ms; whichever stands
// first is taken.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "common/io/loop.h"
#include "common/io/socket.h"

namespace holdfast {

class Connector {
 public:
  struct Outcome {
    Descriptor descriptor;  // connected, if valid
    SocketAddress address;
    int error = 0;  // the last address's: ETIMEDOUT for the deadline
  };
  // Called once, never from within start() or add(); may destroy the connector.
  using Callback = std::function<void(Outcome)>;

  Connector(Loop& loop, Tune tune, const DescriptorBudget* budget, Callback callback);
  ~Connector();

  // Done after Tune, before each connect; its errno, unless 0, is the address's error.
  using Prepare = std::function<int(int descriptor, int family)>;
  void set_prepare(Prepare prepare) { prepare_ = std::move(prepare); }

  // Over Multipath TCP, where the kernel has it.
  void set_multipath(bool multipath) { multipath_ = multipath; }

  // add() may follow until `more_until`; before then failing is not the end.
  void start(std::vector<SocketAddress> addresses, Time deadline, Time more_until = {});
  // Those that were not tried yet come next. None follow after this.
  void add(const std::vector<SocketAddress>& addresses);
  // Calls back now if it is known what came of it; else the timer or the poller will.
  void settle();

 private:
  // A connect under way to one of the addresses.
  struct Attempt final : Poller::Watcher {
    Attempt(Connector& owner, const SocketAddress& where) : connector(owner), address(where) {}
    void on_ready(std::uint32_t) override { connector.ready(*this); }

    Connector& connector;
    SocketAddress address;
    Descriptor descriptor;
    std::optional<Poller::Registration> registration;
    std::optional<Time> retry;  // a Unix listener's queue is full: the same address again
  };

  void begin();
  void connect_to(Attempt& attempt);
  void connected(Attempt& attempt);
  void ready(Attempt& attempt);
  void failed(Attempt& attempt, int error);
  void on_timer();
  void arm();
  void finish();

  Loop& loop_;
  Tune tune_;
  Prepare prepare_;
  bool multipath_ = false;
  const DescriptorBudget* budget_;
  Callback callback_;
  std::vector<SocketAddress> addresses_;
  std::size_t next_ = 0;
  Time next_at_{};
  Time deadline_{};
  Time more_until_{};
  std::vector<std::unique_ptr<Attempt>> attempts_;
  Outcome outcome_;
  bool finished_ = false;
  Timer timer_;
};

}  // namespace holdfast
