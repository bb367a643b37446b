// MetricsListener: the metrics address of the admin server. It stands for itself: where it cannot
// be had, the agent serves all else, and tries again with a growing pause.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/admin/admin_server.h"
#include "common/io/listener.h"
#include "common/io/listener_set.h"
#include "common/io/resolver.h"

namespace holdfast {

class MetricsListener {
 public:
  // The loop and the observer outlive it. It outlives the server that it is given.
  MetricsListener(Loop& loop, const AdminConfig& config, ListenerObserver& observer);

  // Serves there as soon as it can; at once, where that is now. Nothing without an address.
  void serve(AdminServer& server);
  // While it cannot be had.
  const std::optional<ListenFailure>& failure() const { return failure_; }

 private:
  void try_once();
  void ask();
  Status listen(const BindOptions& options);
  void failed(const std::string& reason);

  Loop& loop_;
  ListenerObserver& observer_;
  std::optional<HostPort> address_;
  bool freebind_;
  AdminServer* server_ = nullptr;
  std::vector<BoundSocket> sockets_;
  std::optional<ListenFailure> failure_;
  Duration pause_{};
  Timer timer_;
  // For a name.
  std::unique_ptr<Resolver> resolver_;
  std::unique_ptr<Resolver::Question> question_;
};

}  // namespace holdfast
