// Resolver: names to addresses, and what they were last.
//
// A name is looked up anew whenever it is asked for; who asks at the same time gets the same
// answer. The last good answer stays known: whoever must not wait uses it meanwhile. A look-up that
// hangs is given others beside it, for each reads /etc/resolv.conf as it is by then, and the first
// that is over counts. Literals never come here (SocketAddress::literal).
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/io/lookups.h"
#include "common/io/loop.h"

namespace holdfast {

class Resolver {
 public:
  using Answer = FoundAddresses;

  // One question; its callback runs once, never from within the constructor, and not after it is
  // destroyed. It may destroy this question, and ask others.
  class Question {
   public:
    Question(Resolver& resolver, HostPort address, std::function<void(const Answer&)> callback);
    ~Question();
    Question(const Question&) = delete;
    Question& operator=(const Question&) = delete;

   private:
    friend class Resolver;
    Resolver& resolver_;
    HostPort address_;
    std::function<void(const Answer&)> callback_;
  };

  struct Known {
    std::vector<SocketAddress> addresses;
    // The name cannot be looked up just now, or not soon: do not wait for a better answer.
    bool doubtful = false;
  };

  explicit Resolver(Loop& loop);
  // Its look-ups tell answered().
  Resolver(Loop& loop, std::unique_ptr<Lookups> lookups);
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // The last good answer, unless nobody asked for an hour.
  std::optional<Known> known(const HostPort& address);
  // Why it could not be looked up the last time; empty: it could, or nobody has asked.
  std::string failure(const HostPort& address) const;
  // What a look-up elsewhere came to (look_up_names).
  void remember(const std::string& host, const FoundAddresses& found);
  // From now on this address comes first in answers that have it: those before it did not connect.
  void prefer(const HostPort& address, const SocketAddress& good);
  // What a look-up of Lookups::start() came to.
  void answered(std::uint64_t number, FoundAddresses found);

 private:
  struct Attempt {
    std::uint64_t number = 0;
    Time began{};
  };
  struct Name {
    std::vector<Question*> questions;
    std::vector<Question*> told;    // being answered: their callbacks may destroy each other
    std::vector<Attempt> attempts;  // under way, the oldest first
    std::vector<SocketAddress> known;
    std::map<std::uint16_t, SocketAddress> preferred;  // by port
    std::uint64_t known_from = 0;                      // the attempt's number
    std::optional<Error> failure;                      // of the last look-up, if it failed
    bool failure_untold = false;                       // a younger look-up may still know better
    bool slow = false;                                 // its last look-up took long
    bool queued = false;                               // waits for a seat
    Time asked{};
  };

  void ask(Question& question);
  void forget(Question& question);
  void look_up(const std::string& host, Name& name);
  bool overtaken(const Name& name) const;
  bool seat_for(const Name& name) const;
  void seat_queued();
  void tell(Name& name, const Answer& answer);
  static std::vector<SocketAddress> in_order(const Name& name,
                                             const std::vector<SocketAddress>& found,
                                             std::uint16_t port);
  void renew();
  void arm();
  void prune();

  Loop& loop_;
  std::unique_ptr<Lookups> lookups_;
  std::map<std::string, Name> names_;
  std::map<std::uint64_t, std::string> under_way_;  // attempts, and whose they are
  std::deque<std::string> queue_;
  std::uint64_t last_number_ = 0;
  Timer timer_;
};

// What the names come to within the time, looked up on other threads: for who can wait, which no
// loop can. Those that take longer are failures.
std::map<std::string, FoundAddresses> look_up_names(const std::vector<std::string>& hosts,
                                                    Duration patience);

}  // namespace holdfast
