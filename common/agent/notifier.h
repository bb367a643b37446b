// Notifier: the service manager's notification socket (sd_notify(3)) and watchdog, served by a
// thread of its own, so that a service manager which hangs never holds up the loop.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/time.h"

namespace holdfast {

struct NotifierHooks {
  // A number that changes whenever the loop ends a turn.
  std::function<std::int64_t()> turns;
  // The loop has not ended a turn for this long, and the watchdog is not pinged until it does.
  // Once per standstill.
  std::function<void(Duration)> stuck;
};

class Notifier {
 public:
  // Null where no service manager asked to be told ($NOTIFY_SOCKET), and without libsystemd. Both
  // hooks are called on the thread, and not any more when the destructor returns.
  static std::unique_ptr<Notifier> start(NotifierHooks hooks);

  // Sends what is waiting, for at most kPatience, and ends.
  ~Notifier();
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;

  // Assignments as of sd_notify(3), a line each. Sent in order, soon.
  void send(std::string state);
  // The one line that `systemctl status` shows. Of several that wait, the newest is sent.
  void status(std::string_view text);

  // How often the watchdog is pinged: a third of what the service manager waits. Zero: no watchdog.
  Duration ping_interval() const;

  static constexpr Duration kPatience = milliseconds(300);

 private:
  struct State;
  explicit Notifier(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace holdfast
