// ServiceManager: what the agent tells systemd of itself, in the right moments.
//
//   ready() --> reloading() --> reloaded() --> ... --> stopping()
//
// The loop's thread calls everything. Without a service manager nothing happens.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "common/admin/reload.h"
#include "common/agent/notifier.h"
#include "common/base/result.h"
#include "common/io/loop.h"
#include "common/log/log.h"

namespace holdfast {

class ServiceManager {
 public:
  // `status` gives the line that `systemctl status` shows; it is asked once a second, and what
  // changed is sent. While `loop` turns, the watchdog is pinged; the timer that asks makes it turn,
  // so that an idle loop counts as alive and a stuck one does not.
  ServiceManager(Loop& loop, Logger& logger, std::function<std::string()> status);

  // Everything listens. The link may be down.
  void ready();
  // Around a reload: reloading() when it begins, reloaded() with its outcome. A failure stays in
  // the status until a reload succeeds.
  void reloading();
  void reloaded(const Status& outcome);
  // Goodbye is being said. May be called again.
  void stopping();

 private:
  void tick();
  void show();

  Loop& loop_;
  std::function<std::string()> status_;
  std::string shown_;
  std::string reload_fault_;
  bool stopping_ = false;
  std::unique_ptr<Notifier> notifier_;  // null: nobody wants to know
  Timer timer_;
};

// The same reload, which tells the service manager when it is done and how it went, unless it only
// shows what it would do. `service` outlives it.
std::unique_ptr<PreparedReload> announced(std::unique_ptr<PreparedReload> reload,
                                          ServiceManager& service);

}  // namespace holdfast
