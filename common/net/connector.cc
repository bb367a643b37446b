#include "common/net/connector.h"

namespace holdfast {
namespace {

// A Unix listener whose queue is full says EAGAIN and gives no event for room.
constexpr Duration kRetry = milliseconds(50);

}  // namespace

Connector::Connector(Loop& loop, Tune tune, const DescriptorBudget* budget, Callback callback)
    : loop_(loop),
      tune_(tune),
      budget_(budget),
      callback_(std::move(callback)),
      timer_(loop.timers(), [this] { on_timer(); }) {}

void Connector::start(std::vector<SocketAddress> addresses, Time deadline) {
  HOLDFAST_CHECK(!addresses.empty());
  addresses_ = std::move(addresses);
  deadline_ = deadline;
  try_next();
}

void Connector::try_next() {
  Duration left = deadline_ - loop_.now();
  auto untried = static_cast<std::int64_t>(addresses_.size() - next_);
  address_deadline_ = loop_.now() + left / std::max<std::int64_t>(untried, 1);
  try_address();
}

void Connector::try_address() {
  retry_ = false;
  const SocketAddress& address = addresses_[next_];
  descriptor_ = make_socket(address.family());
  if (!descriptor_.valid()) return give_up_address(errno);
  if (budget_ != nullptr && budget_->scarce(descriptor_.get())) return give_up_address(EMFILE);
  tune_(descriptor_.get(), address.family());
  if (prepare_) {
    if (int error = prepare_(descriptor_.get(), address.family()); error != 0) {
      return give_up_address(error);
    }
  }
  registration_.emplace(loop_.poller(), descriptor_.get(), *this);
  if (connect(descriptor_.get(), address.get(), address.size()) == 0) {
    outcome_.error = 0;
    return finish();
  }
  if (errno == EAGAIN && address.is_unix()) {
    retry_ = true;
    return timer_.arm(std::min(loop_.now() + kRetry, address_deadline_));
  }
  if (errno != EINPROGRESS) return give_up_address(errno);
  // On this host the handshake is over by now: asked once more, the kernel says so, and the poller
  // need not be troubled.
  if (connect(descriptor_.get(), address.get(), address.size()) == 0) {
    outcome_.error = 0;
    return finish();
  }
  if (errno != EALREADY) return give_up_address(errno);
  registration_->set(EPOLLOUT);
  timer_.arm(address_deadline_);
}

void Connector::give_up_address(int error) {
  registration_.reset();
  descriptor_.reset();
  outcome_.error = error;
  outcome_.address = addresses_[next_];
  next_ += 1;
  if (next_ >= addresses_.size() || error == EMFILE || error == ENFILE) return finish();
  try_next();
}

void Connector::on_ready(std::uint32_t) {
  int error = take_socket_error(descriptor_.get());
  if (error != 0) {
    give_up_address(error);
  } else {
    outcome_.error = 0;
    finish();
  }
  settle();
}

void Connector::on_timer() {
  if (!finished_) {
    if (retry_ && loop_.now() < address_deadline_) {
      registration_.reset();
      try_address();
    } else {
      give_up_address(ETIMEDOUT);
    }
  }
  settle();
}

void Connector::settle() {
  if (!finished_ || !callback_) return;
  timer_.cancel();
  Callback callback = std::exchange(callback_, nullptr);
  callback(std::move(outcome_));  // destroys this
}

// The callback is for settle() or the timer, so never within start().
void Connector::finish() {
  registration_.reset();
  finished_ = true;
  if (outcome_.error == 0) {
    outcome_.address = addresses_[next_];
    outcome_.descriptor = std::move(descriptor_);
  }
  timer_.arm(loop_.now());
}

}  // namespace holdfast
