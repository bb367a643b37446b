// ClientLink: one of a client agent's links: the Link, its driver, and the dials that find it
// carriers. It renews the link when that has ended.
//
//   running --retire()--> retiring --last stream--+
//      |                                          v
//      +----------------leave()--------------> leaving --> over
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "client-agent/dial.h"
#include "client-agent/loop_watch.h"
#include "common/core/lane_meter.h"
#include "common/core/memory_pool.h"
#include "common/io/secure_random.h"
#include "common/state/relics.h"
#include "common/tls/tls.h"
#include "common/tunnel/link_driver.h"

namespace holdfast {

// How many lanes a link of the config has: `first` at once, and up to `most` as they are needed.
struct LaneRange {
  unsigned first = 1;
  unsigned most = 1;
  bool vary() const { return first < most; }
};

// Why what is new goes over another lane than this one, until it retires.
enum class Parting : std::uint8_t {
  other_server,  // another one answers than the one that has streams of this lane
  drains,        // its server takes no new streams
};
struct LaneParting {
  std::string lane;
  Parting why = Parting::other_server;
};

// A lane that is gone.
struct LaneOver {
  std::string group;
  unsigned lane = 0;
  Time slot_free_at{};  // until then the server may have something of it
  bool failed = false;  // it was opened when the others were up, and refused, or came to nothing
};

struct ClientLinkSettings {
  std::string name;   // each has one of its own
  std::string group;  // in the config: alike for the lanes of one
  unsigned lane = 0;
  LaneRange lanes;  // of the group
  LinkOptions link;
  std::map<std::string, Patience, std::less<>> patience;  // of its services
  std::vector<HostPort> servers;
  Dialer::Begin begin = Dialer::Begin::first;  // of the servers
  bool names_home = true;                      // in clear, when it is resumed
  std::uint32_t mark = 0;                      // as in DialOptions
  std::string congestion_control;              // likewise
  bool mptcp = false;                          // likewise
  LoopWatch* loops = nullptr;  // of the process, outlives the links; null: nobody looks for any
};

struct ClientLinkOptions : ClientLinkSettings {
  std::unique_ptr<TlsContext> tls;  // null: plain
  // What a process before this one had of it.
  std::optional<LinkRelic> relic{};

  // Another lane beside lane 0, which these are: "hub#2" beside "hub", in the slot after it.
  ClientLinkOptions beside(unsigned another) const;
};

// An accepted application, for a link of the group.
struct ClientHandover {
  std::string group;
  std::string service;
  Descriptor socket;
  Endpoint source;
  Endpoint destination;
  std::uint64_t read_before = 0;  // of the socket: its PROXY header
  bool is_unix = false;           // the socket
  Time until{};                   // so long it waits for a lane that is coming
};

// What a client agent's links share. All of it outlives them.
struct ClientContext {
  Loop& loop;
  MemoryPool& pool;
  Resolver& resolver;
  Observer& observer;
  ClosingCarriers& closing;
  std::uint64_t& next_carrier;
};

class ClientLink final : public LinkDriver::Owner {
 public:
  class Owner {
   public:
    // pump() at the end of this turn.
    virtual void wake() = 0;
    // Which of the link's services take no connections now has changed: down() tells.
    virtual void services_changed() = 0;
    // There may be room for more connections.
    virtual void room() = 0;
    virtual void lane_over(LaneOver over) = 0;
    // Told until it retires.
    virtual void lane_parts(LaneParting parting) = 0;
    // What ClientLinks::lanes() says is new.
    virtual void lanes_seen() = 0;

   protected:
    ~Owner() = default;
  };

  ClientLink(const ClientContext& context, ClientLinkOptions options, Owner& owner);
  // After the first one's relic was taken over, and that counts: its sockets are this link's.
  void go_on(Relics& relics, RecoveryTally& tally);
  ~ClientLink();

  // What happened in this turn, told to the link and sent. True: there is more to do.
  bool pump();
  // The host's network changed.
  void network_changed();

  // A new connection's socket for the service; leaves it where it is while none can be taken.
  void open(ClientHandover& comer);
  // False: there is no such connection.
  bool kill(const ConnectionName& connection);

  // A reload. A standing carrier goes on; the next one uses the new servers, keys and liveness.
  // Streams of services that are gone stay, or end with `revoked`.
  void reconfigure(ClientLinkOptions options, bool revoke);
  // It takes no new streams: goodbye when its last one is over.
  void retire();
  // The same, and those whose OPEN was never written go over the other one.
  void retire_for(ClientLink& successor);
  // Drops the carrier and dials anew.
  void reconnect();
  // An operator holds the link down: no carrier until it is let up. Streams wait in their grace.
  void hold_down();
  void let_up();
  // Goodbye; over() once it is said.
  void leave(Cause cause);

  const std::string& name() const { return name_; }
  const std::string& group() const { return group_; }
  unsigned lane() const { return lane_; }
  const LaneRange& lanes() const { return lanes_; }
  const LaneMeter& meter() const { return meter_; }
  // PathReport::beside of its carriers.
  void beside(Duration round_trip) { driver_->set_beside(round_trip); }
  LaneView view() const { return meter_.view(loop_.now(), link_); }
  // It was opened beside others that are up, and is likely to be up before `until`.
  void expect(Time until) { comes_until_ = until; }
  bool coming() const {
    return state_ == State::running && !link_.live() && loop_.now() < comes_until_;
  }
  // Of a lane that there need not be: it is empty and has no carrier, so it may as well go.
  bool useless() const {
    return lane_ >= lanes_.first && !link_.live() && link_.stream_count() == 0 && !coming();
  }
  // It has no carrier that is live, and a long table to greet with.
  bool waits_long() const;
  bool greeting() const { return link_.carrier() != CarrierId{} && !link_.live(); }
  // It dials only where it may: lanes take turns (LaneTurns). True: that is new.
  bool give_turn(bool may_dial);
  // Looks at what it carries.
  void look();
  const Link& link() const { return link_; }
  const LinkDriver& driver() const { return *driver_; }
  const Dials& dials() const { return *dials_; }
  // The server says that the service's target takes no connections now.
  bool is_down(std::string_view service) const { return down_.find(service) != down_.end(); }
  const std::set<std::string, std::less<>>& down() const { return down_; }
  bool held() const { return held_; }
  bool retiring() const { return state_ == State::retiring; }
  bool leaving() const { return state_ == State::leaving; }
  bool over() const { return state_ == State::leaving && link_.ended() && driver_->settled(); }
  // Of one that is over.
  LaneOver last_word() const;

 private:
  enum class State : std::uint8_t { running, retiring, leaving };

  void wants_pump(LinkDriver&) override;
  TargetStart connect_target(LinkDriver&, StreamHandle) override { return {}; }
  void link_refused(Cause cause, Duration retry_after) override;
  void carrier_barren(const SocketAddress& peer) override { dials_->barren(peer); }
  void stream_connected(StreamHandle stream, std::uint64_t mark) override;
  void room_for_streams() override { owner_.room(); }
  void services_down(const std::vector<std::uint16_t>& services) override;
  Patience patience(std::string_view service) const override;

  static std::unique_ptr<Link> make_link(const ClientContext& context,
                                         const ClientLinkOptions& options,
                                         std::optional<Recovered>& recovered);
  Dialer::Need need() const;
  DialHome home() const;
  void renew();
  void other_server();
  void try_again_after(Duration least);
  // Takes the servers.
  DialOptions dial_options(ClientLinkOptions& options) const;

  Loop& loop_;
  Owner& owner_;
  std::string name_;
  std::string group_;
  unsigned lane_;
  LaneRange lanes_;
  LaneMeter meter_;
  Time comes_until_{};
  bool was_live_ = false;
  std::unique_ptr<TlsContext> tls_;
  State state_ = State::running;
  bool names_home_;
  unsigned in_vain_ = 0;  // answers in a row that sent it away
  bool held_ = false;
  bool may_dial_ = true;
  bool wake_ = true;
  std::set<std::string, std::less<>> down_;  // services
  std::map<std::string, Patience, std::less<>> patience_;
  LoopWatch* loops_;
  std::optional<Recovered> recovered_;  // until go_on()
  std::unique_ptr<Link> made_;
  Link& link_;
  std::unique_ptr<LinkDriver> driver_;
  std::unique_ptr<Dials> dials_;
};

inline const LinkDriver& driver_of(const ClientLink& link) {
  return link.driver();
}

}  // namespace holdfast
