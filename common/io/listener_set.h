// ListenerSet: the addresses that a driver listens on, and what a reload makes of them. Each stands
// for itself: one that cannot be had is tried again with a growing pause, and holds up no other.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/io/listener.h"
#include "common/io/resolver.h"

namespace holdfast {

// An address that is wanted and not listened on, and why.
struct ListenFailure {
  std::string address;
  std::string reason;
};

// What an address that cannot be had now comes to.
enum class MissingAddress : std::uint8_t { is_waited_for, is_an_error };

// Between two tries of an address that cannot be had: 1 s, 2 s, ... at most 15 s.
Duration next_listen_pause(Duration last);

class ListenerSet {
 public:
  struct Wanted {
    NetListenAddress address;
    std::size_t tag = 0;       // the handler's own
    bool transparent = false;  // as for bind_sockets()
    bool required = false;     // set() fails where it cannot be had now
    bool freebind = false;     // as for bind_sockets()
    bool mptcp = false;        // likewise
    SocketAccess access{};     // likewise
  };

  // `tune` as for bind_sockets(). `changed`: what addresses() says has. Everything given outlives
  // the set.
  ListenerSet(Loop& loop, Resolver& resolver, const DescriptorBudget& budget,
              Listener::Handler& handler, ListenerObserver& observer, Tune tune,
              std::function<void()> changed);

  // Listens on exactly these: binds what is new, leaves alone what stands (it gets its new tag) and
  // closes the others once they have handed over who waited at them. An address may take the place
  // of one that overlaps it (0.0.0.0:80 and 127.0.0.1:80). What cannot be had, or is a name that
  // nobody has resolved yet, is tried again; but if it is required and was not wanted before, or if
  // a Unix socket's file cannot be given to whom it now should be, then nothing is changed, and the
  // error names it. What a name came to is looked at anew, now and every minute.
  Status set(const std::vector<Wanted>& wanted);
  void clear();
  // Until it is said otherwise (null): these are taken where they are bound to what is wanted.
  void inherit(InheritedSockets* sockets) { inherited_ = sockets; }
  // A connection that a process before this one accepted here goes to the handler as if it were
  // new. It stays where it is when it is none of these addresses', or there is no room.
  void adopt(Descriptor& socket);
  // There may be room again.
  void resume();

  // What each socket is bound to.
  std::vector<SocketAddress> addresses() const;
  // A name for each socket, as configured.
  std::vector<std::string> names() const;
  std::vector<ListenFailure> failures() const;
  // When one of those is tried again; kNever: none is, or its name is being looked up.
  Time next_try() const;

 private:
  struct Entry {
    Wanted wanted;
    std::vector<std::unique_ptr<Listener>> listeners;  // a name may have several addresses
    // Without any, or without any that its name has now:
    std::string failure;
    Duration pause{};  // before the next try
    Time again = kNever;
    std::unique_ptr<Resolver::Question> question;

    std::vector<SocketAddress> addresses() const;
    bool stands_at(const SocketAddress& address) const;
  };
  using Entries = std::vector<std::unique_ptr<Entry>>;

  Entry* find(const Wanted& wanted);
  Status bind(Entry& entry);
  Status follow_name(Entry& entry);
  // One Unix socket's file, and whose it was.
  struct Given {
    Entry* entry;
    SocketAccess before;
  };
  Status give_files(const std::vector<Wanted>& wanted, std::vector<Given>& given);
  static void take_back(const std::vector<Given>& given);
  Status bind_over(Entry& entry, Entries& leaving, std::vector<Wanted>& gone);
  void put_back(const std::vector<Wanted>& gone);
  void failed(Entry& entry, const std::string& reason);
  void try_again(Entry& entry);
  void answered(Entry& entry, const Resolver::Answer& answer);
  void complete(Entry& entry);
  void retry();
  void arm();

  Loop& loop_;
  Resolver& resolver_;
  const DescriptorBudget& budget_;
  Listener::Handler& handler_;
  ListenerObserver& observer_;
  Tune tune_;
  std::function<void()> changed_;
  InheritedSockets* inherited_ = nullptr;
  Entries entries_;
  Timer timer_;
};

}  // namespace holdfast
