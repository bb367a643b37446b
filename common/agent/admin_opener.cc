#include "common/agent/admin_opener.h"

#include <utility>

namespace holdfast {

AdminOpener::AdminOpener(Loop& loop, const AdminConfig& config, Backend& backend,
                         ListenerObserver& observer, std::function<void(AdminServer&)> opened)
    : loop_(loop),
      config_(config),
      backend_(backend),
      observer_(observer),
      opened_(std::move(opened)),
      timer_(loop.timers(), [this] { open_whenever(); }) {}

Status AdminOpener::open() {
  auto server = AdminServer::start(config_, backend_);
  if (!server) return server.error();
  server_ = std::move(*server);
  opened_(*server_);
  return Ok{};
}

void AdminOpener::open_whenever() {
  Status done = open();
  if (done) {
    if (failure_) observer_.listening(failure_->address);
    failure_.reset();
    return;
  }
  pause_ = next_listen_pause(pause_);
  timer_.arm(loop_.now() + pause_);
  const std::string& reason = done.error().message;
  if (failure_ && failure_->reason == reason) return;
  failure_ = ListenFailure{config_.socket, reason};
  observer_.listen_failed(failure_->address, reason);
}

}  // namespace holdfast
