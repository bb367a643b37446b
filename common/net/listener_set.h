// ListenerSet: the addresses that a driver listens on, and what a reload makes of them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/net/listener.h"

namespace holdfast {

class ListenerSet {
 public:
  struct Wanted {
    NetListenAddress address;
    std::size_t tag = 0;       // the handler's own
    bool transparent = false;  // as for bind_sockets()
  };

  // `tune` as for bind_sockets(). Everything given outlives the set.
  ListenerSet(Loop& loop, const DescriptorBudget& budget, Listener::Handler& handler,
              Observer& observer, void (*tune)(int descriptor, int family))
      : loop_(loop), budget_(budget), handler_(handler), observer_(observer), tune_(tune) {}

  // Listens on exactly these: binds what is new, leaves alone what stands (it gets its new tag) and
  // closes the others once they have handed over who waited at them. Or, with an error that names
  // the address, changes nothing. An address may take the place of one that overlaps it
  // (0.0.0.0:80 and 127.0.0.1:80).
  Status set(const std::vector<Wanted>& wanted);
  void clear() { places_.clear(); }
  // There may be room again.
  void resume();

  bool empty() const { return places_.empty(); }
  // What each socket is bound to.
  std::vector<SocketAddress> addresses() const;
  // A name for each socket, as configured.
  std::vector<std::string> names() const;

 private:
  struct Place {
    NetListenAddress address;
    bool transparent = false;
    std::vector<std::unique_ptr<Listener>> listeners;  // a name may have several addresses
  };

  Place* find(const Wanted& wanted);
  Result<Place> bind(const Wanted& wanted);
  Status bind_over(const std::vector<Wanted>& wanted, std::vector<Place>& bound,
                   std::vector<Place>& leaving);

  Loop& loop_;
  const DescriptorBudget& budget_;
  Listener::Handler& handler_;
  Observer& observer_;
  void (*tune_)(int, int);
  std::vector<Place> places_;
};

}  // namespace holdfast
