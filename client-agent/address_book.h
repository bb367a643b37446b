// AddressBook: every address of every server name, kept fresh while there is somebody to dial.
// Literals and the addresses that the last look-up found are there at once; look-ups run beside the
// dials, for names are often down in the same outage.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/io/resolver.h"

namespace holdfast {

class AddressBook {
 public:
  // `changed` is called when addresses() did, never from within refresh(). `failed` is told of what
  // and why a look-up came to nothing; the same words again only after a while.
  AddressBook(Loop& loop, Resolver& resolver, std::vector<HostPort> servers,
              std::function<void()> changed,
              std::function<void(const HostPort&, const std::string&)> failed);

  struct Wish {
    bool urgent = false;  // somebody waits
    bool anew = false;    // what was found before may be wrong by now
  };
  // Looks the names up that are due, which is sooner where it is urgent or no address is known.
  void refresh(Wish wish);
  // When a name is due again.
  Time next_timeout() const { return next_refresh_; }
  // In the order of the configuration; an address keeps its place as long as it is known.
  const std::vector<SocketAddress>& addresses() const { return addresses_; }
  // Rises whenever they may have changed.
  std::uint64_t version() const { return version_; }

 private:
  struct Entry {
    HostPort server;
    bool literal = false;
    std::vector<SocketAddress> known;
    std::unique_ptr<Resolver::Question> question;
  };

  void answered(Entry& entry, const Resolver::Answer& answer);
  void tell_failure(const HostPort& server, const std::string& why);
  void rebuild();

  Loop& loop_;
  Resolver& resolver_;
  std::function<void()> changed_;
  std::function<void(const HostPort&, const std::string&)> failed_;
  std::vector<Entry> entries_;
  std::vector<SocketAddress> addresses_;
  std::uint64_t version_ = 0;
  bool any_names_ = false;
  bool anew_ = true;
  std::optional<Time> last_refresh_;
  Time next_refresh_ = kNever;
  std::string told_;  // of a failure
  Time told_at_{};
};

// Puts `fresh` into the order of `old`: what stays keeps its index, what is new takes the places of
// what went, in order, or follows.
std::vector<SocketAddress> keep_places(const std::vector<SocketAddress>& old,
                                       const std::vector<SocketAddress>& fresh);

}  // namespace holdfast
