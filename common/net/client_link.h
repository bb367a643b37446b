// ClientLink: one of a client agent's links: the Link, its driver, and the dials that find it
// carriers. It renews the link when that has ended.
//
//   running --retire()--> retiring --last stream--+
//      |                                          v
//      +----------------leave()--------------> leaving --> over
#pragma once

#include <memory>
#include <set>
#include <string>

#include "common/core/memory_pool.h"
#include "common/net/dial.h"
#include "common/net/link_driver.h"
#include "common/net/secure_random.h"
#include "common/net/tls.h"

namespace holdfast {

// How many lanes a link of the config has: `first` at once, and up to `most` as they are needed.
struct LaneRange {
  unsigned first = 1;
  unsigned most = 1;
};

struct ClientLinkSettings {
  std::string name;   // each has one of its own
  std::string group;  // in the config: alike for the lanes of one
  unsigned lane = 0;
  LaneRange lanes;  // of the group
  LinkOptions link;
  std::vector<HostPort> servers;
  std::uint32_t mark = 0;          // as in DialOptions
  std::string congestion_control;  // likewise
  bool mptcp = false;              // likewise
};

struct ClientLinkOptions : ClientLinkSettings {
  std::unique_ptr<TlsContext> tls;  // null: plain

  // Another lane beside lane 0, which these are: "hub#2" beside "hub", in the slot after it.
  ClientLinkOptions beside(unsigned another) const;
};

// What a client agent's links share. All of it outlives them.
struct ClientSurroundings {
  Loop& loop;
  MemoryPool& pool;
  Resolver& resolver;
  Observer& observer;
  ClosingCarriers& closing;
  std::uint64_t& next_carrier;
};

class ClientLink final : public LinkDriver::Host {
 public:
  class Host {
   public:
    // pump() at the end of this turn.
    virtual void wake() = 0;
    // Which of the link's services take no connections now has changed: down() tells.
    virtual void services_changed() = 0;
    // There may be room for more connections.
    virtual void room() = 0;
    // A lane is gone; until then the server may have something of it.
    virtual void lane_over(const std::string& group, unsigned lane, Time free_at) = 0;

   protected:
    ~Host() = default;
  };

  ClientLink(const ClientSurroundings& around, ClientLinkOptions options, Host& host);
  ~ClientLink();

  // What happened in this turn, told to the link and sent. True: there is more to do.
  bool pump();
  // The host's network changed.
  void network_changed();

  // A new connection's socket for the service; leaves it where it is while none can be taken.
  void open(std::string_view service, Descriptor& socket, const Endpoint& source,
            const Endpoint& destination);
  // False: there is no such connection.
  bool kill(const ConnectionName& connection);

  // A reload. A standing carrier goes on; the next one uses the new servers, keys and liveness.
  // Streams of services that are gone stay, or end with `revoked`.
  void reconfigure(ClientLinkOptions options, bool revoke);
  // A reload took the link away: goodbye when its last stream is over, or at once.
  void retire(bool revoke);
  // Drops the carrier and dials anew.
  void reconnect();
  // An operator holds the link down: no carrier until it is let go. Streams wait in their grace.
  void hold(bool down);
  // Goodbye; over() once it is said.
  void leave(Cause cause);

  const std::string& name() const { return name_; }
  const std::string& group() const { return group_; }
  unsigned lane() const { return lane_; }
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
  // When it is over: until when the server may have something of it.
  Time slot_free_at() const {
    return link_.forgotten() ? loop_.now() : loop_.now() + link_.grace();
  }

 private:
  enum class State : std::uint8_t { running, retiring, leaving };

  void wants_pump(LinkDriver&) override;
  TargetStart connect_target(LinkDriver&, StreamHandle) override { return {}; }
  void link_refused(Duration retry_after) override;
  void carrier_barren(const SocketAddress& peer) override { dials_->barren(peer); }
  void room_for_streams() override { host_.room(); }
  void services_down(const std::vector<std::uint16_t>& services) override;

  Dialer::Need need() const;
  void renew();
  // Takes the servers.
  DialOptions dial_options(ClientLinkOptions& options) const;

  Loop& loop_;
  Host& host_;
  std::string name_;
  std::string group_;
  unsigned lane_;
  std::unique_ptr<TlsContext> tls_;
  State state_ = State::running;
  bool held_ = false;
  bool wake_ = true;
  std::set<std::string, std::less<>> down_;  // services
  Link link_;
  std::unique_ptr<LinkDriver> driver_;
  std::unique_ptr<Dials> dials_;
};

}  // namespace holdfast
