#include "common/io/connector.h"

#include <algorithm>

namespace holdfast {
namespace {

// A Unix listener whose queue is full says EAGAIN and gives no event for room.
constexpr Duration kRetry = milliseconds(50);
// RFC 8305, section 5: the connection attempt delay.
constexpr Duration kNextAddress = milliseconds(250);

// A connect to a port of this host at which nobody listens can meet itself, when the kernel chooses
// the same port for its own end (a simultaneous open, RFC 9293): who wrote would read his own
// bytes, and the service could not take its port.
bool is_itself(int descriptor, const SocketAddress& address) {
  if (address.is_unix()) return false;
  SocketAddress own = SocketAddress::own_of(descriptor);
  if (own.endpoint().port != address.endpoint().port) return false;
  return own.endpoint() == SocketAddress::peer_of(descriptor).endpoint();
}

}  // namespace

Connector::Connector(Loop& loop, Tune tune, const DescriptorBudget* budget, Callback callback)
    : loop_(loop),
      tune_(tune),
      budget_(budget),
      callback_(std::move(callback)),
      timer_(loop.timers(), [this] { on_timer(); }) {}

Connector::~Connector() = default;

void Connector::start(std::vector<SocketAddress> addresses, Time deadline, Time more_until) {
  HOLDFAST_CHECK(!addresses.empty());
  addresses_ = std::move(addresses);
  deadline_ = deadline;
  more_until_ = std::min(more_until, deadline);
  outcome_.error = ETIMEDOUT;
  begin();
}

void Connector::add(const std::vector<SocketAddress>& addresses) {
  more_until_ = {};
  auto at = addresses_.begin() + static_cast<std::ptrdiff_t>(next_);
  for (const SocketAddress& each : addresses) {
    bool known = std::find(addresses_.begin(), addresses_.end(), each) != addresses_.end();
    if (!known) at = addresses_.insert(at, each) + 1;
  }
  if (!finished_) begin();
}

// Tries what is due, until one is under way and has its time, or has connected.
void Connector::begin() {
  while (!finished_ && next_ < addresses_.size() &&
         (attempts_.empty() || loop_.now() >= next_at_)) {
    next_at_ = loop_.now() + kNextAddress;
    Attempt& attempt =
        *attempts_.emplace_back(std::make_unique<Attempt>(*this, addresses_[next_++]));
    connect_to(attempt);
  }
  if (finished_) return;
  bool all_failed = attempts_.empty() && next_ >= addresses_.size();
  if (all_failed && loop_.now() >= more_until_) return finish();
  arm();
}

void Connector::connect_to(Attempt& attempt) {
  const SocketAddress& address = attempt.address;
  attempt.retry.reset();
  attempt.registration.reset();
  attempt.descriptor =
      multipath_ ? make_multipath_socket(address.family()) : make_socket(address.family());
  int descriptor = attempt.descriptor.get();
  if (!attempt.descriptor.valid()) return failed(attempt, errno);
  if (budget_ != nullptr && budget_->scarce(descriptor)) return failed(attempt, EMFILE);
  tune_(descriptor, address);
  if (prepare_) {
    if (int error = prepare_(descriptor, address.family()); error != 0) {
      return failed(attempt, error);
    }
  }
  attempt.registration.emplace(loop_.poller(), descriptor, attempt);
  // On this host the handshake is over after the first call: asked once more, the kernel says so,
  // and the poller need not be troubled.
  for (int calls = 0; calls < 2; ++calls) {
    if (connect(descriptor, address.get(), address.size()) == 0) {
      return connected(attempt);
    }
    if (errno == EAGAIN && address.is_unix()) {
      attempt.retry = loop_.now() + kRetry;
      return;
    }
    if (errno != (calls == 0 ? EINPROGRESS : EALREADY)) return failed(attempt, errno);
  }
  attempt.registration->set(EPOLLOUT);
}

void Connector::connected(Attempt& attempt) {
  if (is_itself(attempt.descriptor.get(), attempt.address)) return failed(attempt, ECONNREFUSED);
  outcome_ = {std::move(attempt.descriptor), attempt.address, 0};
  finish();
}

void Connector::ready(Attempt& attempt) {
  int error = take_socket_error(attempt.descriptor.get());
  if (error == 0) {
    connected(attempt);
  } else {
    failed(attempt, error);
  }
  if (!finished_) begin();
  settle();
}

// Its memory goes here.
void Connector::failed(Attempt& attempt, int error) {
  outcome_.error = error;
  outcome_.address = attempt.address;
  std::erase_if(attempts_, [&](const auto& each) { return each.get() == &attempt; });
  next_at_ = loop_.now();
  // No other address mends that.
  if (error == EMFILE || error == ENFILE) finish();
}

void Connector::on_timer() {
  if (!finished_ && loop_.now() >= deadline_) {
    bool last_is_silent = !attempts_.empty() && attempts_.back()->address == addresses_[next_ - 1];
    if (last_is_silent) outcome_.error = ETIMEDOUT;
    finish();
  }
  if (!finished_) {
    for (std::size_t each = 0; each < attempts_.size();) {
      Attempt& attempt = *attempts_[each];
      std::size_t before = attempts_.size();
      if (attempt.retry && loop_.now() >= *attempt.retry) connect_to(attempt);
      if (attempts_.size() == before) ++each;
    }
    begin();
  }
  settle();
}

void Connector::arm() {
  Time at = deadline_;
  if (next_ < addresses_.size()) at = std::min(at, next_at_);
  if (attempts_.empty()) at = std::min(at, more_until_);
  for (const auto& attempt : attempts_) {
    if (attempt->retry) at = std::min(at, *attempt->retry);
  }
  timer_.arm(at);
}

void Connector::settle() {
  if (!finished_ || !callback_) return;
  timer_.cancel();
  attempts_.clear();
  Callback callback = std::exchange(callback_, nullptr);
  callback(std::move(outcome_));  // destroys this
}

// The callback is for settle() or the timer, so never within start(). What is still under way goes
// then, too: this may be called by one of them.
void Connector::finish() {
  for (auto& attempt : attempts_) attempt->registration.reset();
  finished_ = true;
  timer_.arm(loop_.now());
}

}  // namespace holdfast
