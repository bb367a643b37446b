#include "common/io/poller.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "common/base/host_refused.h"
#include "common/io/timer.h"

namespace holdfast {
namespace {

// Of a turn, for what is patient: what others that become ready meanwhile wait for. One step more
// may follow, and the longest, a handshake's, is about as long.
constexpr Duration kPatientTime = microseconds(250);
// While others are busy they have this many times as much.
constexpr int kOthersShare = 3;
// How often descriptors are asked that the host does not watch for us.
constexpr int kAskRefused_ms = 10;
// What a kick says.
constexpr std::uint32_t kKicked = EPOLLIN;

}  // namespace

Poller::Poller() : epoll_(epoll_create1(EPOLL_CLOEXEC)), patient_(epoll_create1(EPOLL_CLOEXEC)) {
  if (!epoll_.valid() || !patient_.valid()) host_refused("an epoll set", errno);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = this;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, patient_.get(), &event) != 0) {
    host_refused("a set within an epoll set", errno);
  }
}

int Poller::Registration::set_descriptor() const {
  return patient_ ? poller_.patient_.get() : poller_.epoll_.get();
}

void Poller::Registration::set(std::uint32_t events) {
  if ((member_ || refused_) && events == events_) return;
  events_ = events;
  told_ = false;
  if (!refused_ && !join()) poller_.refuse(this, errno);
}

bool Poller::Registration::join() {
  epoll_event event{};
  event.events = events_;
  event.data.ptr = this;
  int operation = member_ ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  bool joined = epoll_ctl(set_descriptor(), operation, descriptor_, &event) == 0;
  if (!joined && member_) {
    int error = errno;
    epoll_ctl(set_descriptor(), EPOLL_CTL_DEL, descriptor_, nullptr);
    errno = error;
  }
  member_ = joined;
  return joined;
}

void Poller::Registration::leave() {
  if (member_) {
    epoll_ctl(set_descriptor(), EPOLL_CTL_DEL, descriptor_, nullptr);
    member_ = false;
  }
  poller_.forget(this);
}

void Poller::Registration::set_patient(bool patient) {
  if (patient == patient_) return;
  bool member = member_ || refused_;
  bool kicked = kicked_ || due_;
  leave();
  patient_ = patient;
  if (member) set(events_);
  if (kicked) kick();
}

void Poller::Registration::kick() {
  if (kicked_) return;
  kicked_ = true;
  if (patient_) {
    poller_.patient_kicked_.push_back(this);
  } else {
    poller_.kicked_.push_back(this);
  }
}

void Poller::wait(int most_ms) {
  // Who is kicked from now on waits for the next turn, so that nobody works twice in one.
  running_.swap(kicked_);
  for (Registration* registration : running_) {
    registration->kicked_ = false;
    registration->due_ = true;
  }
  if (!refused_.empty() && (most_ms < 0 || most_ms > kAskRefused_ms)) most_ms = kAskRefused_ms;
  bool patient = !patient_kicked_.empty();
  bool others = call_ready(most_ms);
  patient = patient || patient_ready_;
  others = run_kicked() || others;
  if (!refused_.empty()) ask_refused();
  if (patient && (!others || read_boot_clock() >= patient_again_)) call_patient();
  if (std::exchange(once_more_, false)) call_ready(0);
}

// True if anybody was called.
bool Poller::call_ready(int most_ms) {
  int count = epoll_wait(epoll_.get(), batch_.data(), static_cast<int>(kBatch), most_ms);
  batch_size_ = count < 0 ? 0 : static_cast<std::size_t>(count);
  patient_ready_ = false;
  bool any = false;
  for (std::size_t i = 0; i < batch_size_; ++i) {
    void* who = batch_[i].data.ptr;
    if (who == nullptr) continue;
    if (who == this) {
      patient_ready_ = true;
    } else {
      any = true;
      auto* registration = static_cast<Registration*>(who);
      bool due = std::exchange(registration->due_, false);
      registration->watcher_.on_ready(batch_[i].events | (due ? kKicked : 0U));
    }
  }
  batch_size_ = 0;
  return any;
}

void Poller::call_patient() {
  Time began = read_boot_clock();
  Time now = began;
  bool more = true;
  while (more && now < began + kPatientTime) {
    bool kicked = call_kicked_patient();
    more = call_ready_patient() || kicked;
    now = read_boot_clock();
  }
  patient_again_ = now + kOthersShare * (now - began);
}

bool Poller::call_kicked_patient() {
  if (patient_kicked_.empty()) return false;
  Registration* registration = patient_kicked_.front();
  patient_kicked_.pop_front();
  registration->kicked_ = false;
  registration->watcher_.on_ready(kKicked);
  return true;
}

// One at a time: the kernel hands out what is ready in turns, and an event that was taken and not
// worked off would have lost its place.
bool Poller::call_ready_patient() {
  epoll_event event{};
  if (epoll_wait(patient_.get(), &event, 1, 0) != 1) return false;
  static_cast<Registration*>(event.data.ptr)->watcher_.on_ready(event.events);
  return true;
}

bool Poller::run_kicked() {
  bool any = false;
  for (std::size_t i = 0; i < running_.size(); ++i) {
    if (running_[i] == nullptr || !std::exchange(running_[i]->due_, false)) continue;
    any = true;
    running_[i]->watcher_.on_ready(kKicked);
  }
  running_.clear();
  return any;
}

void Poller::refuse(Registration* registration, int error) {
  bool first = refused_.empty();
  registration->refused_ = true;
  refused_.push_back(registration);
  if (first && told_refusal_) told_refusal_(error);
}

// As the kernel would tell it; and perhaps the host has room again.
void Poller::ask_refused() {
  Time now = read_boot_clock();
  if (now < ask_refused_at_) return;
  ask_refused_at_ = now + milliseconds(kAskRefused_ms);
  // Whoever is called may leave, or join: those that join now wait for the next time.
  std::vector<Registration*> asked = refused_;
  for (Registration* registration : asked) {
    if (std::find(refused_.begin(), refused_.end(), registration) == refused_.end()) continue;
    if (registration->join()) {
      registration->refused_ = false;
      std::erase(refused_, registration);
      continue;
    }
    pollfd entry{registration->descriptor_,
                 static_cast<short>(registration->events_ & (POLLIN | POLLOUT | POLLRDHUP)), 0};
    if (::poll(&entry, 1, 0) != 1) continue;
    bool once = (registration->events_ & EPOLLET) != 0;
    if (once && std::exchange(registration->told_, true)) continue;
    registration->watcher_.on_ready(static_cast<std::uint32_t>(entry.revents));
  }
}

// Events already fetched must not reach who is gone.
void Poller::forget(Registration* registration) {
  for (std::size_t i = 0; i < batch_size_; ++i) {
    if (batch_[i].data.ptr == registration) batch_[i].data.ptr = nullptr;
  }
  registration->due_ = false;
  if (std::exchange(registration->refused_, false)) std::erase(refused_, registration);
  std::replace(running_.begin(), running_.end(), registration, static_cast<Registration*>(nullptr));
  if (registration->kicked_) {
    registration->kicked_ = false;
    std::erase(kicked_, registration);
    std::erase(patient_kicked_, registration);
  }
}

}  // namespace holdfast
