// What the tests of sockets share: a loop turned until something is so, and pairs of sockets.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "common/io/listener.h"
#include "common/io/loop.h"
#include "common/io/socket.h"
#include "tests/catch.h"

namespace holdfast {

// Remembers what it was told.
struct ListenerNotes : ListenerObserver {
  std::vector<std::string> listeners;

  void listener_paused(const std::string&, const std::string&) override {
    listeners.push_back("paused");
  }
  void listener_resumed(const std::string&) override { listeners.push_back("resumed"); }
  void listen_failed(const std::string&, const std::string& reason) override {
    listeners.push_back(reason);
  }
  void listening(const std::string& address) override {
    listeners.push_back("listening " + address);
  }
};

// Runs the loop until `done`, or fails after five seconds.
inline void turn_until(Loop& loop, const std::function<bool()>& done) {
  class Watch final : public Loop::Task {
   public:
    Watch(Loop& watched, const std::function<bool()>& condition)
        : loop_(watched), done_(condition) {}
    bool end_of_turn() override {
      if (done_()) loop_.stop();
      return false;
    }

   private:
    Loop& loop_;
    const std::function<bool()>& done_;
  };
  Watch watch(loop, done);
  bool late = false;
  Timer limit(loop.timers(), [&] {
    late = true;
    loop.stop();
  });
  limit.arm(loop.refresh() + seconds(5));
  loop.run(watch);
  if (late) FAIL("not within five seconds");
}

inline SocketAddress bound_address(int descriptor) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  REQUIRE(getsockname(descriptor, reinterpret_cast<sockaddr*>(&storage), &size) == 0);
  return SocketAddress(reinterpret_cast<const sockaddr*>(&storage), size);
}

// A listening socket on a free port of the loopback, tuned as given.
inline BoundSocket free_listener(Tune tune = nullptr) {
  auto sockets = bind_sockets(HostPort{"127.0.0.1", 0}, tune);
  REQUIRE(sockets.ok());
  return std::move(sockets->front());
}

inline std::uint16_t port_of(const BoundSocket& socket) {
  return bound_address(socket.descriptor()).endpoint().port;
}

// Nobody listens there, and nobody else is likely to.
inline std::uint16_t free_port() {
  return port_of(free_listener());
}

// A blocking socket connected to the address.
inline Descriptor dial(const SocketAddress& address) {
  Descriptor dialled(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(connect(dialled.get(), address.get(), address.size()) == 0);
  return dialled;
}

// The agent's end (non-blocking, tuned by inheritance) and the application's (blocking).
inline std::pair<Descriptor, Descriptor> application_pair() {
  BoundSocket listener = free_listener(tune_application_socket);
  Descriptor application = dial(bound_address(listener.descriptor()));
  Descriptor agent;
  while (!agent.valid()) {
    agent.reset(accept4(listener.descriptor(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  }
  return {std::move(agent), std::move(application)};
}

}  // namespace holdfast
