// NetworkWatcher: tells when the host's addresses, routes or links changed (rtnetlink(7)).
#pragma once

#include <functional>
#include <optional>

#include "common/io/loop.h"
#include "common/io/socket.h"

namespace holdfast {

class NetworkWatcher final : public Poller::Watcher {
 public:
  // `changed` is called once for changes that come close together. Where the kernel does not let
  // us watch, active() is false and nothing is ever told.
  NetworkWatcher(Loop& loop, std::function<void()> changed);
  bool active() const { return descriptor_.valid(); }

 private:
  void on_ready(std::uint32_t events) override;

  Loop& loop_;
  Descriptor descriptor_;
  std::optional<Poller::Registration> registration_;
  Timer settle_;
};

}  // namespace holdfast
