// Poller: readiness of descriptors, an epoll set of our own.
//
// uv_poll cannot wait for errors alone: while reading is paused a descriptor is either not watched
// at all (a reset goes unseen) or its half-close spins. An epoll set says exactly that, and a
// change of interest is one epoll_ctl.
//
// What strangers can cause at will is patient: it has a set of its own, which is a member of the
// first. So it is told one event at a time, in the kernel's order, after everybody else's of the
// turn, and what there is no time for costs the turn nothing.
//
// A descriptor that the host does not let us watch (fs.epoll.max_user_watches, memory) is asked
// with poll(2) every few milliseconds until the host does: slower, and nothing ends.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/base/time.h"
#include "common/io/socket.h"

namespace holdfast {

class Poller {
 public:
  class Watcher {
   public:
    // EPOLL* bits. May destroy the watcher, or any other.
    virtual void on_ready(std::uint32_t events) = 0;

   protected:
    ~Watcher() = default;
  };

  // One descriptor in the set; leaves it when destroyed, which must be before the descriptor is
  // closed. EPOLLERR and EPOLLHUP are always watched.
  class Registration {
   public:
    // What to watch for; level-triggered.
    static constexpr std::uint32_t kRead = EPOLLIN | EPOLLRDHUP;
    static constexpr std::uint32_t kWrite = EPOLLOUT;
    // Nothing but an error, or the end of both ways. Told once each, so they cannot spin.
    static constexpr std::uint32_t kOnlyErrors = EPOLLET;

    Registration(Poller& poller, int descriptor, Watcher& watcher)
        : poller_(poller), watcher_(watcher), descriptor_(descriptor) {}
    ~Registration() { leave(); }
    Registration(const Registration&) = delete;
    Registration& operator=(const Registration&) = delete;

    void set(std::uint32_t events);
    void leave();
    // Calls the watcher with EPOLLIN in the next turn, once, whatever the kernel says.
    void kick();
    // Its events come after everybody else's of a turn, and when there is no time left for them, in
    // a later one.
    void set_patient(bool patient);

   private:
    friend class Poller;
    int set_descriptor() const;
    bool join();
    Poller& poller_;
    Watcher& watcher_;
    int descriptor_;
    std::uint32_t events_ = 0;
    bool member_ = false;
    bool kicked_ = false;  // for the next turn
    bool due_ = false;     // in this turn, and not called yet
    bool patient_ = false;
    bool refused_ = false;  // by the host; asked by hand
    bool told_ = false;     // its error, while it is asked by hand
  };

  Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  // Calls the watchers of what is ready; waits for it at most so many ms, -1 for ever.
  void wait(int most_ms);
  // `told` hears the system's reason when there is a descriptor that the host does not watch, and
  // there was none before.
  void on_refusal(std::function<void(int error)> told) { told_refusal_ = std::move(told); }
  // How many are asked by hand.
  std::size_t refused() const { return refused_.size(); }

  // Before this turn ends, whoever is ready by now is called as well. For who took in something
  // new: what was there before it came, of those that are known, is heard in the same turn.
  void look_once_more() { once_more_ = true; }

  // Somebody was kicked: the loop must not sleep.
  bool busy() const { return !kicked_.empty() || !patient_kicked_.empty(); }

 private:
  // One turn's work; what more is ready waits for the next turn.
  static constexpr std::size_t kBatch = 256;

  bool call_ready(int most_ms);
  bool run_kicked();
  void call_patient();
  bool call_kicked_patient();
  bool call_ready_patient();
  void forget(Registration* registration);
  void refuse(Registration* registration, int error);
  void ask_refused();

  Descriptor epoll_;
  Descriptor patient_;
  std::array<epoll_event, kBatch> batch_{};
  std::size_t batch_size_ = 0;
  std::vector<Registration*> kicked_;
  std::vector<Registration*> running_;
  std::deque<Registration*> patient_kicked_;
  std::vector<Registration*> refused_;
  Time ask_refused_at_{};
  std::function<void(int error)> told_refusal_;
  bool patient_ready_ = false;
  bool once_more_ = false;
  Time patient_again_{};  // not before, while others have something to do
};

}  // namespace holdfast
