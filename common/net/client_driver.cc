#include "common/net/client_driver.h"

#include "common/net/secure_random.h"

namespace holdfast {
namespace {

// SIGTERM promises an end within 2 s; the rest is for closing.
constexpr Duration kLeavePatience = milliseconds(1800);

}  // namespace

ClientDriver::ClientDriver(Loop& loop, ClientOptions options, Observer& observer)
    : loop_(loop),
      observer_(observer),
      shutdown_timeout_(options.shutdown_timeout),
      listen_(std::move(options.listen)),
      budget_(options.descriptors),
      pool_(options.memory, options.connections),
      trimmer_(loop, pool_),
      resolver_(loop),
      closing_([this] { wake_ = true; }),
      link_(std::move(options.link), pool_, random_link_id(), 0),
      network_(loop,
               [this] {
                 link_.doubt(loop_.now());
                 dials_->network_changed();
                 wake_ = true;
               }),
      deadline_(loop.timers(), [this] { wake_ = true; }) {
  driver_ = std::make_unique<LinkDriver>(loop, link_, *this, observer, closing_, "");
  dials_ = std::make_unique<Dials>(
      loop, resolver_, std::move(options.dial), observer, closing_, random_u64(), next_carrier_,
      [this](std::unique_ptr<Carrier> carrier) { driver_->adopt(std::move(carrier)); },
      [this] { wake_ = true; });
  if (!network_.active()) observer.warning("changes of the host's network cannot be watched");
}

ClientDriver::~ClientDriver() = default;

Status ClientDriver::listen() {
  for (std::size_t service = 0; service < listen_.size(); ++service) {
    auto sockets = bind_sockets(listen_[service], tune_application_socket);
    if (!sockets) return sockets.error();
    for (BoundSocket& socket : *sockets) {
      listeners_.push_back(
          std::make_unique<Listener>(loop_, std::move(socket), service, budget_, *this, observer_));
    }
  }
  return Ok{};
}

void ClientDriver::accepted(Listener& listener, Descriptor& socket, const SocketAddress& peer) {
  if (link_.draining()) return;  // the link will end soon; the next one takes it
  OpenRequest request;
  request.service = static_cast<std::uint16_t>(listener.tag());
  request.source = peer.endpoint();
  auto stream = link_.open(loop_.now(), request);
  if (!stream) return;
  driver_->attach(*stream, std::move(socket), peer.is_unix());
}

std::unique_ptr<TargetConnect> ClientDriver::connect_target(LinkDriver&, StreamHandle) {
  return nullptr;
}

void ClientDriver::link_refused(Duration retry_after) {
  if (retry_after > Duration{}) dials_->hold_off(loop_.now() + retry_after);
}

Dialer::Need ClientDriver::need() const {
  if (state_ == State::leaving || state_ == State::stopped || !link_.wants_carrier()) {
    return Dialer::Need::none;
  }
  return link_.urgent() ? Dialer::Need::urgent : Dialer::Need::relaxed;
}

bool ClientDriver::end_of_turn() {
  if (!wake_) return false;
  wake_ = false;
  bool more = driver_->pump();
  if (link_.ended() && driver_->settled() && state_ != State::leaving) renew();
  if (link_.live()) dials_->start_over();
  dials_->update(need());
  if (std::exchange(room_, false)) resume_listeners();
  if (state_ != State::running) advance_shutdown();
  closing_.sweep();
  wake_ = wake_ || more;
  return wake_;
}

void ClientDriver::renew() {
  if (state_ == State::stopped) return;
  link_.renew(loop_.now(), random_link_id());
  room_ = true;
  wake_ = true;
}

void ClientDriver::resume_listeners() {
  for (auto& listener : listeners_) listener->resume();
}

void ClientDriver::shut_down() {
  if (state_ == State::leaving || state_ == State::stopped) return;
  state_ = State::leaving;
  listeners_.clear();
  deadline_.arm(loop_.now() + kLeavePatience);
  driver_->read_last();
  link_.goodbye(loop_.now(), Cause::goodbye);
  wake_ = true;
}

void ClientDriver::drain() {
  if (state_ != State::running) return;
  state_ = State::draining;
  listeners_.clear();
  deadline_.arm(loop_.now() + shutdown_timeout_);
  wake_ = true;
}

void ClientDriver::advance_shutdown() {
  if (state_ == State::draining && (link_.stream_count() == 0 || !deadline_.armed())) shut_down();
  if (state_ != State::leaving) return;
  closing_.sweep();
  bool over = link_.ended() && driver_->settled() && closing_.empty();
  if (!over && deadline_.armed()) return;
  state_ = State::stopped;
  loop_.stop();
}

void ClientDriver::reconnect() {
  link_.reconnect(loop_.now());
  wake_ = true;
}

bool ClientDriver::kill(std::string_view connection) {
  auto id = parse_connection(connection);
  if (!id || id->link != link_.id().short_name()) return false;
  StreamHandle stream;
  if (!link_.find_stream(loop_.now(), id->stream, &stream)) return false;
  link_.reset(loop_.now(), stream, Cause::admin_kill);
  wake_ = true;
  return true;
}

}  // namespace holdfast
