#include "common/tunnel/target.h"

#include <algorithm>
#include <cerrno>

namespace holdfast {
namespace {

// How long a name's last good addresses wait for a new answer (RFC 8305, section 3: the resolution
// delay): most answers take less, and where a service has moved they spare a wrong connect.
constexpr Duration kAnswerPatience = milliseconds(50);
// And when all of them have failed: the service may be somewhere else.
constexpr Duration kMoved = seconds(1);

}  // namespace

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
                             const Target& target, Approach approach, Callback callback)
    : loop_(loop),
      resolver_(resolver),
      budget_(budget),
      deadline_(loop.now() + target.connect_timeout),
      approach_(std::move(approach)),
      callback_(std::move(callback)),
      timer_(loop.timers(), [this] { on_timer(); }) {
  const auto* tcp = std::get_if<HostPort>(&target.address);
  std::optional<SocketAddress> address =
      tcp != nullptr ? SocketAddress::literal(*tcp)
                     : SocketAddress::unix_path(std::get<UnixPath>(target.address).path);
  if (address) {
    connect_to({*address});
  } else if (tcp != nullptr) {
    name_ = *tcp;
    look_up();
  } else {
    fail(Cause::target_failed);
  }
}

void TargetConnect::settle() {
  if (connector_ != nullptr) connector_->settle();
}

void TargetConnect::look_up() {
  question_ = std::make_unique<Resolver::Question>(
      resolver_, *name_, [this](const Resolver::Answer& answer) { answered(answer); });
  auto known = resolver_.known(*name_);
  if (!known) return timer_.arm(deadline_);
  known_ = std::move(known->addresses);
  if (known->doubtful) return connect_to(known_, loop_.now() + kMoved);
  timer_.arm(std::min(deadline_, loop_.now() + kAnswerPatience));
}

void TargetConnect::answered(const Resolver::Answer& answer) {
  if (connector_ != nullptr) {
    connector_->add(answer ? *answer : std::vector<SocketAddress>{});
  } else if (answer || !known_.empty()) {
    timer_.cancel();
    connect_to(answer ? *answer : known_);
  } else {
    fail(Cause::target_unresolved);
  }
}

void TargetConnect::on_timer() {
  if (!failure_ && !known_.empty()) return connect_to(known_, loop_.now() + kMoved);
  Callback told = std::move(callback_);
  // Not one address in all the time: the name is what is wrong.
  told(Outcome{Descriptor(), failure_.value_or(Cause::target_unresolved), {}});  // destroys this
}

void TargetConnect::connect_to(std::vector<SocketAddress> addresses, Time more_until) {
  first_ = addresses.front();
  connector_ = std::make_unique<Connector>(
      loop_, tune_application_socket, &budget_,
      [this](Connector::Outcome connected) { tell(std::move(connected)); });
  if (approach_.from_source) {
    connector_->set_prepare(
        [this](int descriptor, int family) { return take_source(descriptor, family); });
  }
  connector_->start(std::move(addresses), deadline_, more_until);
}

void TargetConnect::tell(Connector::Outcome connected) {
  Outcome outcome;
  outcome.address = connected.address;
  outcome.from_source = approach_.from_source;
  std::optional<std::size_t> said;
  if (!connected.descriptor.valid()) {
    outcome.cause = cause_of(connected.error);
  } else if (said = announce(connected); !said) {
    outcome.cause = Cause::target_failed;
  } else {
    outcome.header_size = *said;
    if (name_ && !(connected.address == first_)) resolver_.prefer(*name_, connected.address);
    outcome.socket = std::move(connected.descriptor);
  }
  Callback told = std::move(callback_);
  told(std::move(outcome));  // destroys this
}

// The kernel picks the port when it knows where the connect goes: thousands may share an address.
int TargetConnect::take_source(int descriptor, int family) {
  Endpoint source = normalized(approach_.source);
  source.port = 0;
  auto address = SocketAddress::from(source);
  source_error_ =
      !address || address->family() != family ? EAFNOSUPPORT : make_transparent(descriptor, family);
  if (source_error_ != 0) return source_error_;
  int on = 1;
  (void)setsockopt(descriptor, SOL_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  if (bind(descriptor, address->get(), address->size()) != 0) source_error_ = errno;
  return source_error_;
}

Cause TargetConnect::cause_of(int error) const {
  return source_error_ != 0 && source_error_ == error ? Cause::source_failed : connect_cause(error);
}

// A new socket's buffer is empty and takes a header whole; where it does not, something is wrong.
std::optional<std::size_t> TargetConnect::announce(const Connector::Outcome& connected) const {
  if (!approach_.send_proxy) return 0;
  Endpoint destination = approach_.destination;
  if (!ip_of(destination)) destination = connected.address.endpoint();
  std::string header =
      proxy_header(*approach_.send_proxy, approach_.source, destination, approach_.connection);
  iovec buffer{header.data(), header.size()};
  ssize_t sent = send_vector(connected.descriptor.get(), {&buffer, 1});
  if (sent != static_cast<ssize_t>(header.size())) return std::nullopt;
  return header.size();
}

// From the timer, so that nobody is called back within the constructor.
void TargetConnect::fail(Cause cause) {
  failure_ = cause;
  timer_.arm(loop_.now());
}

}  // namespace holdfast
