#include "common/net/poller.h"

#include <algorithm>

#include "common/net/timer.h"

namespace holdfast {
namespace {

// Of each turn, for strangers' handshakes and new sockets: beside others who have something to do,
// and when there is nobody else.
constexpr Duration kPatientTime = microseconds(250);
constexpr Duration kPatientTimeAlone = milliseconds(4);

}  // namespace

void Poller::Registration::set(std::uint32_t events) {
  if (member_ && events == events_) return;
  epoll_event event{};
  event.events = events;
  event.data.ptr = this;
  int operation = member_ ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  HOLDFAST_CHECK(epoll_ctl(poller_.epoll_.get(), operation, descriptor_, &event) == 0);
  member_ = true;
  events_ = events;
}

void Poller::Registration::leave() {
  if (member_) {
    epoll_ctl(poller_.epoll_.get(), EPOLL_CTL_DEL, descriptor_, nullptr);
    member_ = false;
  }
  poller_.forget(this);
}

void Poller::Registration::kick() {
  if (kicked_) return;
  kicked_ = true;
  poller_.kicked_.push_back(this);
}

void Poller::wait(int most_ms) {
  int count = epoll_wait(epoll_.get(), batch_.data(), static_cast<int>(kBatch), most_ms);
  batch_size_ = count < 0 ? 0 : static_cast<std::size_t>(count);
  ready_count_ = batch_size_;
  bool others = false;
  for (std::size_t i = 0; i < batch_size_; ++i) {
    auto* registration = static_cast<Registration*>(batch_[i].data.ptr);
    if (registration == nullptr) continue;
    if (registration->patient_) {
      if (registration->late_events_ == 0) late_.push_back(registration);
      registration->late_events_ |= batch_[i].events;
    } else {
      others = true;
      registration->watcher_.on_ready(batch_[i].events);
    }
  }
  batch_size_ = 0;
  if (!late_.empty()) call_patient(others ? kPatientTime : kPatientTimeAlone);
}

// In the order in which the kernel told of them; what is left when time is up goes first next time.
void Poller::call_patient(Duration most) {
  Time until = read_boot_clock() + most;
  while (!late_.empty()) {
    Registration* registration = late_.front();
    late_.pop_front();
    registration->watcher_.on_ready(std::exchange(registration->late_events_, 0));
    if (read_boot_clock() >= until) return;
  }
}

void Poller::run_kicked() {
  running_.swap(kicked_);
  for (Registration* registration : running_) {
    if (registration != nullptr) registration->kicked_ = false;
  }
  for (std::size_t i = 0; i < running_.size(); ++i) {
    if (running_[i] != nullptr) running_[i]->watcher_.on_ready(EPOLLIN);
  }
  running_.clear();
}

// Events already fetched must not reach who is gone.
void Poller::forget(Registration* registration) {
  for (std::size_t i = 0; i < batch_size_; ++i) {
    if (batch_[i].data.ptr == registration) batch_[i].data.ptr = nullptr;
  }
  std::replace(running_.begin(), running_.end(), registration, static_cast<Registration*>(nullptr));
  if (registration->late_events_ != 0) {
    registration->late_events_ = 0;
    std::erase(late_, registration);
  }
  if (registration->kicked_) {
    registration->kicked_ = false;
    std::erase(kicked_, registration);
  }
}

}  // namespace holdfast
