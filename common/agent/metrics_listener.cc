#include "common/agent/metrics_listener.h"

#include <algorithm>

namespace holdfast {
namespace {

std::optional<HostPort> address_of(const AdminConfig& config) {
  if (!config.metrics) return std::nullopt;
  return HostPort{config.metrics->host, config.metrics->port};
}

}  // namespace

MetricsListener::MetricsListener(Loop& loop, const AdminConfig& config, ListenerObserver& observer)
    : loop_(loop),
      observer_(observer),
      address_(address_of(config)),
      freebind_(config.freebind),
      timer_(loop.timers(), [this] { try_once(); }) {}

void MetricsListener::serve(AdminServer& server) {
  server_ = &server;
  if (address_) try_once();
}

void MetricsListener::try_once() {
  bool literal = address_->host == kEveryAddress || SocketAddress::literal(*address_);
  if (!literal) return ask();
  if (Status done = listen({.freebind = freebind_}); !done) failed(done.error().message);
}

void MetricsListener::ask() {
  if (resolver_ == nullptr) resolver_ = std::make_unique<Resolver>(loop_);
  if (!failure_) {
    failure_ = ListenFailure{to_string(NetAddress(*address_)), "its name is not resolved yet"};
  }
  question_ = std::make_unique<Resolver::Question>(
      *resolver_, *address_, [this](const Resolver::Answer& answer) {
        Status done =
            answer ? listen({.freebind = freebind_, .of_name = *answer}) : Status(answer.error());
        if (!done) failed(done.error().message);
        question_.reset();
      });
}

Status MetricsListener::listen(const BindOptions& options) {
  auto sockets = bind_sockets(*address_, nullptr, options);
  if (!sockets) return sockets.error();
  std::vector<int> descriptors;
  for (const BoundSocket& each : *sockets) descriptors.push_back(each.descriptor());
  if (Status served = server_->serve_metrics(descriptors); !served) return served;
  sockets_ = std::move(*sockets);
  if (pause_ != Duration{}) observer_.listening(failure_->address);
  failure_.reset();
  return Ok{};
}

void MetricsListener::failed(const std::string& reason) {
  pause_ = next_listen_pause(pause_);
  timer_.arm(loop_.now() + pause_);
  if (failure_ && failure_->reason == reason) return;
  failure_ = ListenFailure{to_string(NetAddress(*address_)), reason};
  observer_.listen_failed(failure_->address, reason);
}

}  // namespace holdfast
