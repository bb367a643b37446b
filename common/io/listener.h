// Listener: accepts sockets, a bounded number each turn, and stops while there is no room.
//
// Two kinds of scarcity pause it: descriptors (told by the kernel or by DescriptorBudget; tried
// anew after a while, or when told that some were freed) and the handler's own limit (until
// resume()). Nobody is turned away: who waits stays in the kernel's queue, and the one socket that
// was already accepted is kept and offered first.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/base/socket_access.h"
#include "common/io/inherited_sockets.h"
#include "common/io/listener_observer.h"
#include "common/io/loop.h"
#include "common/io/socket.h"

namespace holdfast {

// A bound socket, not yet listening on the loop. A Unix socket's file goes with it, unless a
// service manager made it.
class BoundSocket {
 public:
  BoundSocket(Descriptor descriptor, std::string name, std::string unix_path)
      : descriptor_(std::move(descriptor)),
        name_(std::move(name)),
        unix_path_(std::move(unix_path)) {}
  // One that was passed in: who was queued before `tune` was applied has not inherited it.
  BoundSocket(Descriptor descriptor, std::string name, Tune tune);
  ~BoundSocket();
  BoundSocket(BoundSocket&& other) noexcept = default;
  BoundSocket& operator=(BoundSocket&&) = delete;

  int descriptor() const { return descriptor_.get(); }
  const std::string& name() const { return name_; }
  // Non-blocking; errno as of accept4().
  Descriptor accept() const;

 private:
  Descriptor descriptor_;
  std::string name_;
  std::string unix_path_;
  Tune tune_ = nullptr;  // for each accepted one
};

struct BindOptions {
  bool transparent = false;  // takes connections to addresses that are not this host's (tproxy)
  bool freebind = false;     // also where the host does not have the address yet (IP_FREEBIND)
  bool mptcp = false;        // Multipath TCP for whoever comes with it, where the kernel has it
  std::vector<SocketAddress> of_name{};   // what the address's name was resolved to
  SocketAccess access{};                  // a Unix socket's file
  InheritedSockets* inherited = nullptr;  // what listens at the address already
};

// Binds and listens on the address; on every one of `of_name`, where it is a name; or takes every
// socket that was passed in under the name. A Unix socket that nobody answers at is replaced.
// `tune` sets the options that accepted sockets inherit; null for none. The error names the
// address.
Result<std::vector<BoundSocket>> bind_sockets(const NetListenAddress& address, Tune tune,
                                              const BindOptions& options = {});

class Listener final : public Poller::Watcher {
 public:
  class Handler {
   public:
    // Takes the socket, or leaves it where it is: then accepting pauses until resume().
    virtual void accepted(Listener& listener, Descriptor& socket, const SocketAddress& peer) = 0;

   protected:
    ~Handler() = default;
  };

  // `tag` is the handler's own, to tell its listeners apart.
  Listener(Loop& loop, BoundSocket socket, std::size_t tag, const DescriptorBudget& budget,
           Handler& handler, ListenerObserver& observer);

  // There may be room again; does nothing unless it pauses.
  void resume();
  // It was accepted here by a process before this one; it stays where it is if that cannot be, or
  // the listener has no room.
  void adopt(Descriptor& socket);
  // Before it is closed: hands over who waits in the kernel's queue, while they are taken.
  void accept_rest();
  std::size_t tag() const { return tag_; }
  void set_tag(std::size_t tag) { tag_ = tag; }
  const std::string& name() const { return socket_.name(); }
  SocketAddress address() const { return SocketAddress::own_of(socket_.descriptor()); }

 private:
  enum class State : std::uint8_t { accepting, out_of_descriptors, full };

  void on_ready(std::uint32_t events) override;
  void accept_some();
  bool offer(Descriptor& socket);
  void pause(State state, const std::string& reason);
  bool descriptors_free() const;

  Loop& loop_;
  BoundSocket socket_;
  std::size_t tag_;
  const DescriptorBudget& budget_;
  Handler& handler_;
  ListenerObserver& observer_;
  State state_ = State::accepting;
  bool told_ = false;  // the observer knows that it pauses
  Descriptor held_;    // accepted, and nobody takes it yet
  Poller::Registration registration_;
  Timer retry_;
};

}  // namespace holdfast
