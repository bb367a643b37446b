// LinkDriver: drives one Link exactly as link.h asks, against simulated sockets and carriers.
//
// It is the simulator's counterpart of the libuv driver and checks the other half of the contract:
// that the effects make sense for the sockets and carriers they name.
#pragma once

#include <optional>
#include <vector>

#include "common/core/link.h"
#include "tests/sim/conversation.h"
#include "tests/sim/medium.h"

namespace holdfast::sim {

class World;

// What the process around a link must do itself.
class LinkOwner {
 public:
  virtual ~LinkOwner() = default;
  virtual void refused(LinkDriver& driver, const effect::Refused& refused) = 0;
  virtual void link_ended(LinkDriver& driver, Cause cause) = 0;
};

class LinkDriver {
 public:
  // side 0: a client's link, 1: a server's.
  LinkDriver(World& world, LinkOwner& owner, int side, std::uint32_t client, Link& link)
      : world_(world), owner_(owner), side_(side), client_(client), link_(link) {}
  ~LinkDriver();
  LinkDriver(const LinkDriver&) = delete;
  LinkDriver& operator=(const LinkDriver&) = delete;

  Link& link() { return link_; }
  std::uint32_t client() const { return client_; }

  // Effects, then bytes to the carrier. After every input.
  void pump();
  // Takes what a carrier has; the end of it, too. False when nothing came.
  bool read_carrier(Carrier& carrier);
  void timeout();
  // Client: a connection was accepted and opened as `handle`.
  void adopt(Conversation& conversation, StreamHandle handle);
  // Moves what can be moved between the application's socket and the link.
  void service(Conversation& conversation);
  // Server: the backend answered.
  void backend_answer(Conversation& conversation, bool connected);
  // The process dies: every socket of it is reset, nothing is said to the link any more.
  void abandon();

  // How long the link has been without a carrier at the longest, now included.
  Duration longest_outage() const;
  void forget_outages() {
    down_since_.reset();
    longest_outage_ = {};
  }
  // Counts of the link since its beginning, what earlier links counted left out.
  const LinkCounters& counters() const { return link_.counters(); }
  void write_trace();

 private:
  struct Socket {
    StreamHandle handle;
    Conversation* conversation = nullptr;
  };

  Conversation* find(StreamHandle handle);
  Side& side_of(Conversation& conversation) { return conversation.sides[side_]; }
  void drain_effects();
  void handle_effect(const Effect& effect);
  void deliver(const effect::Deliver& deliver);
  void deliver_fin(const effect::DeliverFin& deliver);
  void deliver_abort(const effect::DeliverAbort& deliver);
  void reset_socket(const effect::ResetSocket& reset);
  void connect_target(const effect::ConnectTarget& connect);
  void stream_ended(const effect::Ended& ended);
  bool verify();
  bool transmit();
  void put_queued(Conversation& conversation);
  void take_from_application(Conversation& conversation);
  bool finish_abort(Conversation& conversation);
  void maybe_close(Side& side);
  void mind(StreamHandle handle, Conversation& conversation);

  World& world_;
  LinkOwner& owner_;
  int side_;
  std::uint32_t client_;
  Link& link_;
  std::vector<Socket> sockets_;  // by slot
  std::vector<std::uint8_t> buffer_;
  std::optional<Transmit> transmit_;
  std::size_t transmit_done_ = 0;
  std::vector<iovec> rest_;  // of it
  CarrierId verify_;
  bool up_ = false;
  std::optional<Time> down_since_;
  Duration longest_outage_{};
  std::optional<Cause> ended_;
  bool draining_effects_ = false;
};

}  // namespace holdfast::sim
