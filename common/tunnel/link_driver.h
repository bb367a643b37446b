// LinkDriver: one Link on the loop: its carriers, its bridges, its timer. The same at both ends.
//
// Whatever happens is told to the link at once; a Pump (core/pump.h) says when what the link wants
// is done, and this class does it.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "common/core/link.h"
#include "common/core/pump.h"
#include "common/io/loop.h"
#include "common/tunnel/bridge.h"
#include "common/tunnel/carrier.h"
#include "common/tunnel/closing_carriers.h"
#include "common/tunnel/observer.h"
#include "common/tunnel/patience.h"
#include "common/tunnel/target.h"

namespace holdfast {

// A connect to a service's target, begun.
struct TargetStart {
  std::unique_ptr<TargetConnect> connect;  // null when refused; `refusal` says why
  Cause refusal = Cause::unknown_service;
  // Of the target, for people; outlives the stream. Null: the stream's destination.
  const std::string* name = nullptr;
};

class LinkDriver final : public Carrier::Owner, public Bridge::Owner, private Pump::Port {
 public:
  class Owner {
   public:
    // pump() it at the end of this turn. Called once for each pump() that did not ask for the next.
    virtual void wants_pump(LinkDriver& driver) = 0;
    // Server: connect, then call connected().
    virtual TargetStart connect_target(LinkDriver& driver, StreamHandle stream) = 0;
    // Client: not to be dialled before then.
    virtual void link_refused(Cause cause, Duration retry_after) = 0;
    // Client: the services whose targets take no connections now; all others do.
    virtual void services_down(const std::vector<std::uint16_t>& services) = 0;
    // Client: the server connected the stream, and that connection has this mark.
    virtual void stream_connected(StreamHandle, std::uint64_t) {}
    // A carrier to there was established and delivered nothing: are large packets lost?
    virtual void carrier_barren(const SocketAddress& peer) = 0;
    // Streams ended, or more are allowed: there may be room for others.
    virtual void room_for_streams() = 0;
    // Server: why a client that asks for it may not have it, for people.
    virtual std::string why_unknown(std::string_view) const { return {}; }
    // With the sockets of this service's streams; asked again and again.
    virtual Patience patience(std::string_view) const { return {}; }

   protected:
    ~Owner() = default;
  };

  // `peer`: the client's name at a server; a client learns the server's from the link. `name`: the
  // link's in a client's config, empty at a server.
  LinkDriver(Loop& loop, Link& link, Owner& owner, Observer& observer, ClosingCarriers& closing,
             std::string peer, std::string name = {});

  Link& link() { return link_; }
  const Link& link() const { return link_; }
  Observer& observer() const { return observer_; }
  std::string_view peer() const;
  // A lane beside the first one; nobody needs to hear of its coming and going.
  void set_lane(bool yes) { lane_ = yes; }
  // See PathReport.
  void set_beside(Duration round_trip) { beside_ = round_trip; }
  // Client: when the link has ended, it is for good.
  void set_last() { last_ = true; }
  // What the kernel says of the path of the carrier in use.
  std::optional<PathReport> carrier_path() const { return path(link_.carrier()); }
  // Where the carrier in use leads; empty without one.
  std::string carrier_address() const;
  // The balancer that it comes through, as far as that is known; empty: none.
  std::string balancer() const;
  // Over how many paths it goes at once; nothing for plain TCP.
  std::optional<std::uint32_t> subflows() const;
  // Why the last carrier was lost, for people.
  const std::string& last_error() const { return last_error_; }

  // A standing carrier, of which the link was told (server) or is told now (client).
  void adopt(std::unique_ptr<Carrier> carrier);
  // A connected, tuned application's socket for the stream.
  void attach(StreamHandle stream, ApplicationSocket socket);
  // A stream that the link has from a process before this one, and its socket; not valid where it
  // has none. `target`: the service's, as in TargetStart.
  void go_on(const RecoveredStream& stream, Descriptor socket, const std::string* target);
  // One that is not the link's any more.
  void tell_lost(const Recovered::Lost& lost) const;
  // Client: streams that its server never heard of go on over another link of the same loop.
  void hand_over(LinkDriver& to);
  // Server: how connect_target() went.
  void connected(StreamHandle stream, TargetConnect::Outcome outcome);

  // Goodbye is about to be said: takes what applications wrote and closed until now.
  void read_last();
  // At the turn's end: effects, then everything there is to send, then the timer. True: there is
  // more to do in another turn.
  bool pump();
  // All effects were polled.
  bool settled() const { return pump_.settled(); }
  // What Owner::patience() says has changed: it counts from now on.
  void look_now();
  // Something was said to the link: pump() is to follow.
  void touch() { pump_.touch(); }

  // With sockets of the service, an index into Link::options(); its `keepalive` is there.
  Patience patience(std::size_t service) const;
  ConnectionInfo info(StreamHandle stream, const StreamSummary& summary) const;
  template <typename Visit>
  void for_each_connection(Time now, Visit visit) const {
    link_.for_each_stream(now, [&](StreamHandle stream, const StreamSummary& summary) {
      visit(info(stream, summary));
    });
  }

 private:
  struct Attachment {
    StreamId id;
    std::unique_ptr<Bridge> bridge;
    std::unique_ptr<TargetConnect> target;  // while it is being connected
    const std::string* target_name = nullptr;
    Duration keepalive{};       // what the kernel was told; zero: nothing yet
    Time half_closed = kNever;  // when it was first seen so
  };

  // Carrier::Owner
  void carrier_standing(Carrier&) override {}
  bool carrier_readable(Carrier& carrier) override;
  void carrier_bytes(Carrier& carrier, Bytes bytes) override;
  void carrier_writable(Carrier& carrier) override;
  void carrier_lost(Carrier& carrier, Cause cause, const std::string& reason) override;
  // Bridge::Owner
  void link_touched() override { touch(); }
  std::size_t read_budget() override;
  void stream_read() override { reads_ += 1; }

  // Pump::Port
  void wants_turn() override { owner_.wants_pump(*this); }
  void perform(const Effect& effect) override;
  void connect(StreamHandle stream) override;
  bool read_once(CarrierId carrier) override;
  std::optional<PathReport> path(CarrierId carrier) const override;
  std::size_t room(CarrierId carrier) override;
  bool writable(CarrierId carrier) const override;
  std::size_t write(CarrierId carrier, std::span<const iovec> buffers) override;
  void finish(CarrierId carrier) override;

  void read_fresh();
  void tell_silence();
  void tell_not_granted();
  void adapt_to_activity();
  std::size_t carrier_read_size();
  Carrier* find(CarrierId id) const;
  void part_with(CarrierId id);
  Attachment* attachment_of(StreamHandle stream);
  const Attachment* attachment_of(StreamHandle stream) const;
  Bridge* bridge_of(StreamHandle stream);
  Attachment& attach_to(StreamHandle stream);
  LinkEvent event() const;

  // link_patience.cc
  std::vector<Patience> patiences() const;
  void look_at_some();
  void look_later(const std::vector<Patience>& patiences);
  void look_at(Attachment& attachment, const std::vector<Patience>& patiences);
  Cause overdue(Attachment& attachment, const StreamSummary& summary,
                const Patience& patience) const;

  void on(const effect::Deliver& effect);
  void on(const effect::DeliverFin& effect);
  void on(const effect::DeliverAbort& effect);
  void on(const effect::ResetSocket& effect);
  void on(const effect::ResumeReading& effect);
  void on(const effect::ConnectTarget&) {}  // the pump calls connect()
  void on(const effect::Opened& effect);
  void on(const effect::Ended& effect);
  void on(const effect::OpenRefused& effect);
  void on(const effect::CloseCarrier& effect);
  void on(const effect::VerifyCarrier&) {}  // ... and read_once()
  void on(const effect::LinkUp& effect);
  void on(const effect::LinkDown& effect);
  void on(const effect::LinkEnded& effect);
  void on(const effect::Refused& effect);
  void on(const effect::Draining& effect);
  void on(const effect::ServicesDown& effect);
  void on(const effect::Barren& effect);
  void on(const effect::Origin& effect);

  Loop& loop_;
  Link& link_;
  Pump pump_;
  Owner& owner_;
  Observer& observer_;
  ClosingCarriers& closing_;
  std::string peer_;
  std::string name_;
  Duration beside_{};
  bool lane_ = false;
  bool last_ = false;
  std::string last_error_;

  std::vector<std::unique_ptr<Carrier>> carriers_;  // the link's, and at most one not yet closed
  std::vector<Attachment> attachments_;             // by StreamHandle::slot

  // Streams active in this turn and in the last one that had any.
  std::size_t reads_ = 0;
  std::size_t deliveries_ = 0;
  SlotIndex last_delivered_ = kNoSlot;
  Time silent_since_ = kNever;  // as the observer was told
  std::size_t last_reads_ = 0;
  std::vector<StreamHandle> fresh_;  // client: accepted in this turn

  Time live_since_{};      // while the link is live
  SlotIndex look_at_ = 0;  // where the next look at sockets begins
  Timer look_timer_;
  Timer timer_;
};

}  // namespace holdfast
