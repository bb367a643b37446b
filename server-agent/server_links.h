// ServerLinks: a server agent's links on one loop, and the carriers that may become one.
//
// It knows no listener and no other loop: whoever greets gives it carriers whose client is known.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/core/link_registry.h"
#include "common/core/memory_pool.h"
#include "common/io/mailbox.h"
#include "common/tunnel/link_driver.h"
#include "common/tunnel/memory_trimmer.h"
#include "server-agent/newcomers.h"
#include "server-agent/options.h"
#include "server-agent/placement.h"
#include "server-agent/targets.h"

namespace holdfast {

// A carrier whose HELLO is whole and is the client's, without a loop.
struct GreetedCarrier {
  Carrier::Unbound carrier;
  HelloRequest request;
  std::string client;
  Placement::Claim claim;
};

class ServerLinks final : public LinkDriver::Owner, private Newcomers::Owner {
 public:
  class Owner {
   public:
    // pump() at the end of this turn.
    virtual void wake() = 0;
    // Streams ended: there may be room for others.
    virtual void room() = 0;

   protected:
    ~Owner() = default;
  };

  // All that is given outlives it. `options` are all loops', and may change while none turns;
  // reconfigured() is to follow. `index`: the loop's.
  ServerLinks(Loop& loop, const ServerOptions& options, std::size_t index, Placement& placement,
              Observer& observer, Owner& owner);

  // A link of a process before this one; the claim is its. What is lost of it is not its any more.
  void recover(const LinkRelic& relic, Placement::Claim claim);
  // Those count now: their sockets go on.
  void go_on(Relics& relics, RecoveryTally& tally);
  // At the end of a turn. True: there is more to do.
  bool pump();
  void take(GreetedCarrier greeted);
  // The options are others now. Those whom `before` knew and who may not stay end (`revoked`), if
  // there is a `before`.
  void reconfigured(const std::map<std::string, ServerClient>* before);

  // No new links and streams.
  void drain();
  // New links again; those that were told keep to it, and end when they are empty.
  void undrain();
  // Goodbye by all of them, none comes any more; over() when it is said, or cannot be.
  void leave();
  bool over() const { return drivers_.empty() && closing_.empty(); }
  // False: there is no such connection.
  bool kill(const ConnectionName& connection);

  template <typename Visit>
  void for_each_link(Visit visit) const {
    for (const auto& [id, driver] : drivers_) visit(*driver, pool_);
  }
  const MemoryPool& pool() const { return pool_; }
  std::size_t stream_count() const { return pool_.streams(); }
  Targets& targets() { return targets_; }
  // What is said to who is not let in.
  Buffer answer_to_stranger() const;

 private:
  // LinkDriver::Owner
  void wants_pump(LinkDriver& driver) override;
  TargetStart connect_target(LinkDriver& driver, StreamHandle stream) override {
    return targets_.start(driver, stream);
  }
  void link_refused(Cause, Duration) override {}
  void carrier_barren(const SocketAddress&) override {}
  void services_down(const std::vector<std::uint16_t>&) override {}
  void room_for_streams() override { owner_.room(); }
  Patience patience(std::string_view service) const override { return targets_.patience(service); }
  std::string why_unknown(std::string_view service) const override {
    return targets_.why_unknown(service);
  }
  // Newcomers::Owner
  void hello(const Carrier&, HelloRequest) override {}
  bool link_known_at(std::string_view source) const override { return placement_.known_at(source); }
  void newcomer_gone(CarrierId carrier) override;

  void revoke(const std::map<std::string, ServerClient>& before);
  void revoke_destinations(Link& link, const StreamGrants& grants);
  LinkDriver& drive(Link& link, Placement::Claim claim);
  void decide(CarrierId carrier, LinkRegistry::Decision decision);
  void accept(CarrierId carrier, LinkRegistry::Accepted accepted);
  void poll_registry();
  bool pump_links();
  void note_state(LinkDriver& driver);
  void remove_ended();

  Loop& loop_;
  const ServerOptions& options_;
  Placement& placement_;
  Observer& observer_;
  Owner& owner_;
  MemoryPool pool_;
  MemoryTrimmer trimmer_;
  ClosingCarriers closing_;
  Targets targets_;
  LinkRegistry registry_;
  std::map<LinkId, std::unique_ptr<LinkDriver>> drivers_;  // before the registry's links go
  // Of carriers that are not decided about, and of links.
  std::map<CarrierId, Placement::Claim> deciding_;
  std::map<LinkId, Placement::Claim> claims_;
  std::map<LinkId, Recovered> recovered_;  // until go_on()
  std::vector<LinkId> dirty_;              // to pump in this turn's end
  std::vector<LinkId> pumped_;             // of them, those it has come to; it keeps its memory
  std::set<LinkId> ending_;                // ended, and not settled yet
  std::set<LinkId> awaited_;               // without a carrier: counted by the placement
  bool targets_changed_ = false;
  bool leaving_ = false;
  Newcomers greeted_;  // not decided about
  std::uint64_t next_carrier_ = 0;
  Timer registry_timer_;
  Mailbox<std::pair<std::string, std::uint64_t>> gone_;  // processes, found by another loop
};

// Strangers must not take the descriptors that links and targets need. So many may sit there.
SeatLimits seat_limits(std::size_t descriptors);

}  // namespace holdfast
