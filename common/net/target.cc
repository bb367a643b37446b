#include "common/net/target.h"

namespace holdfast {

Cause connect_cause(int error) {
  switch (error) {
    case ECONNREFUSED:
    case ENOENT:
      return Cause::target_refused;
    case ETIMEDOUT:
      return Cause::target_timeout;
    case EMFILE:
    case ENFILE:
      return Cause::limit;
    default:
      return Cause::target_failed;
  }
}

TargetConnect::TargetConnect(Loop& loop, Resolver& resolver, const DescriptorBudget& budget,
                             const Target& target, Callback callback)
    : loop_(loop),
      budget_(budget),
      deadline_(loop.now() + target.connect_timeout),
      callback_(std::move(callback)),
      timer_(loop.timers(), [this] {
        Callback told = std::move(callback_);
        told(Outcome{Descriptor(), failure_, false});  // destroys this
      }) {
  const auto* tcp = std::get_if<HostPort>(&target.address);
  std::optional<SocketAddress> address =
      tcp != nullptr ? SocketAddress::literal(*tcp)
                     : SocketAddress::unix_path(std::get<UnixPath>(target.address).path);
  if (address) {
    connect_to({*address});
  } else if (tcp != nullptr) {
    look_up(resolver, *tcp);
  } else {
    fail(Cause::target_failed);
  }
}

void TargetConnect::look_up(Resolver& resolver, const HostPort& address) {
  timer_.arm(deadline_);
  question_ = std::make_unique<Resolver::Question>(resolver, address,
                                                   [this](const Resolver::Answer& answer) {
                                                     if (!answer)
                                                       return fail(Cause::target_unresolved);
                                                     timer_.cancel();
                                                     connect_to(*answer);
                                                   });
}

void TargetConnect::connect_to(std::vector<SocketAddress> addresses) {
  connector_ = std::make_unique<Connector>(loop_, tune_application_socket, &budget_,
                                           [this](Connector::Outcome connected) {
                                             Outcome outcome;
                                             outcome.is_unix = connected.address.is_unix();
                                             outcome.socket = std::move(connected.descriptor);
                                             if (!outcome.socket.valid())
                                               outcome.cause = connect_cause(connected.error);
                                             Callback told = std::move(callback_);
                                             told(std::move(outcome));  // destroys this
                                           });
  connector_->start(std::move(addresses), deadline_);
}

// From the timer, so that nobody is called back within the constructor.
void TargetConnect::fail(Cause cause) {
  failure_ = cause;
  timer_.arm(loop_.now());
}

}  // namespace holdfast
