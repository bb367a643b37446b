#include "common/agent/service_manager.h"

#include <algorithm>

namespace holdfast {
namespace {

// How often the status may change.
constexpr Duration kStatusInterval = seconds(1);

class AnnouncedReload final : public PreparedReload {
 public:
  AnnouncedReload(std::unique_ptr<PreparedReload> reload, ServiceManager& service)
      : reload_(std::move(reload)), service_(service) {}

  ReloadReport finish(const ReloadRequest& request) override {
    if (request.dry_run) return reload_->finish(request);
    service_.reloading();
    ReloadReport report = reload_->finish(request);
    service_.reloaded(report.good() ? Status(Ok{}) : Status(Error{fault_of(report)}));
    return report;
  }

 private:
  std::unique_ptr<PreparedReload> reload_;
  ServiceManager& service_;
};

}  // namespace

std::unique_ptr<PreparedReload> announced(std::unique_ptr<PreparedReload> reload,
                                          ServiceManager& service) {
  return std::make_unique<AnnouncedReload>(std::move(reload), service);
}

ServiceManager::ServiceManager(Loop& loop, Logger& logger, std::function<std::string()> status)
    : loop_(loop), status_(std::move(status)), timer_(loop.timers(), [this] { tick(); }) {
  NotifierHooks hooks;
  hooks.turns = [&loop] { return loop.last_turn_us(); };
  hooks.stuck = [&logger](Duration standstill) {
    logger.event(LogLevel::error, "loop_stuck",
                 {{"standstill_s", standstill},
                  {"reason", "the event loop does not turn; the watchdog is not pinged"}});
  };
  notifier_ = Notifier::start(std::move(hooks));
}

void ServiceManager::ready() {
  if (notifier_ == nullptr) return;
  notifier_->send("READY=1");
  tick();
}

void ServiceManager::reloading() {
  if (notifier_ == nullptr || stopping_) return;
  // MONOTONIC_USEC is for systemd 253 and later.
  auto now = std::chrono::steady_clock::now().time_since_epoch();
  notifier_->send("RELOADING=1\nMONOTONIC_USEC=" +
                  std::to_string(duration_cast<microseconds>(now).count()));
}

void ServiceManager::reloaded(const Status& outcome) {
  if (notifier_ == nullptr || stopping_) return;
  reload_fault_ = outcome ? "" : outcome.error().message;
  notifier_->send("READY=1");
  show();
}

void ServiceManager::stopping() {
  if (notifier_ == nullptr || stopping_) return;
  stopping_ = true;
  timer_.cancel();
  notifier_->send("STOPPING=1");
  notifier_->status("stopping");
}

void ServiceManager::tick() {
  if (stopping_) return;
  show();
  // At least once between two pings, also when those are set to be frequent.
  Duration interval = kStatusInterval;
  Duration ping = notifier_->ping_interval();
  if (ping > Duration{}) interval = std::min(interval, ping / 2);
  timer_.arm(loop_.now() + interval);
}

void ServiceManager::show() {
  std::string line = status_();
  if (!reload_fault_.empty()) {
    line += "; the last reload failed, the old config is in use: " + reload_fault_;
  }
  if (line == shown_) return;
  shown_ = line;
  notifier_->status(line);
}

}  // namespace holdfast
