// AdminOpener: an agent's admin interface, for a process that goes on from another one: where the
// interface cannot be had (its folder is gone), the connections are served all the same, and it is
// tried again.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "common/admin/admin_server.h"
#include "common/io/listener_observer.h"
#include "common/io/listener_set.h"
#include "common/io/loop.h"
#include "common/io/timer.h"

namespace holdfast {

class AdminOpener {
 public:
  // What it is given outlives it; `opened` is called with each server, once.
  AdminOpener(Loop& loop, const AdminConfig& config, Backend& backend, ListenerObserver& observer,
              std::function<void(AdminServer&)> opened);

  // An error: it cannot be had.
  Status open();
  // Tries it until it can.
  void open_whenever();
  // While it cannot be had.
  const std::optional<ListenFailure>& failure() const { return failure_; }

 private:
  Loop& loop_;
  const AdminConfig& config_;
  Backend& backend_;
  ListenerObserver& observer_;
  std::function<void(AdminServer&)> opened_;
  std::unique_ptr<AdminServer> server_;
  std::optional<ListenFailure> failure_;
  Duration pause_{};
  Timer timer_;
};

}  // namespace holdfast
