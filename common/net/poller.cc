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
  bool waiting = false;
  bool others = false;
  for (std::size_t i = 0; i < batch_size_; ++i) {
    auto* registration = static_cast<Registration*>(batch_[i].data.ptr);
    bool patient = registration != nullptr && registration->patient_;
    waiting = waiting || patient;
    if (!patient) others = call(i) || others;
  }
  if (waiting) call_patient(others ? kPatientTime : kPatientTimeAlone);
  batch_size_ = 0;
}

// What is left when time is up is told again by the next epoll_wait, after what was not told yet.
void Poller::call_patient(Duration most) {
  Time until = read_boot_clock() + most;
  for (std::size_t i = 0; i < batch_size_; ++i) {
    if (call(i) && read_boot_clock() >= until) return;
  }
}

// Each event once; false where there is nobody to tell.
bool Poller::call(std::size_t index) {
  auto* registration = static_cast<Registration*>(batch_[index].data.ptr);
  if (registration == nullptr) return false;
  batch_[index].data.ptr = nullptr;
  registration->watcher_.on_ready(batch_[index].events);
  return true;
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
  if (registration->kicked_) {
    registration->kicked_ = false;
    std::erase(kicked_, registration);
  }
}

}  // namespace holdfast
