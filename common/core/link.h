// Link: the sequenced, acked conversation between one client agent and one server agent.
//
// A pure state machine: no socket, clock, thread, log or global. Facts go in with the time as an
// argument, what follows comes out by polling. docs/PROTOCOL.md says what it does and numbers the
// rules that the comments in the .cc files name.
//
// How to drive it (Pump does, pump.h). After every input:
//   1. poll_effect() until it has none, doing what each effect says (effects.h);
//   2. poll_transmit() and write, until there is nothing or the carrier takes no more;
//   3. arm one timer for next_timeout().
// carrier_bytes() must not be called while effects of the last call are unpolled: frames are read
// one by one as effects are polled, so that payload goes straight to its socket.
//
//     Detached --carrier_up--> Greeting --WELCOME--> Live --goodbye--> Leaving --> Ended
//        ^                        |                   |                              |
//        +---- carrier lost ------+-------------------+     renew() (client) --------+--> Detached
//        +---- grace over (server: Ended; client: every sent stream reset, new link id)
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/base/random.h"
#include "common/base/result.h"
#include "common/core/effects.h"
#include "common/core/first_bytes.h"
#include "common/core/link_io.h"
#include "common/core/link_options.h"
#include "common/core/link_state.h"
#include "common/core/liveness.h"
#include "common/core/memory_pool.h"
#include "common/core/open_order.h"
#include "common/core/outbox.h"
#include "common/core/recovery.h"
#include "common/core/stream_table.h"
#include "common/core/summary.h"
#include "common/core/trace.h"
#include "common/wire/frame_reader.h"
#include "common/wire/frames.h"

namespace holdfast {

class Link : LinkStates {
 public:
  // `pool` must outlive the link. `seed` drives nothing that must be secret.
  Link(LinkOptions options, MemoryPool& pool, LinkId id, std::uint64_t instance);
  // One whose process died (recovery.h): detached, as it was then. Adds to `recovered`.
  static std::unique_ptr<Link> recover(Time now, const LinkOptions& options, MemoryPool& pool,
                                       const OldState& state, const OldState::Link& old,
                                       SocketJudge& judge, Recovered& recovered);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // --- Carriers ---------------------------------------------------------------------------

  // Client: a carrier stands (authenticated). It becomes the link's (beside a suspect one after a
  // moment), or a CloseCarrier follows. `round_trip`: what its set-up showed, or zero.
  void carrier_up(Time now, CarrierId carrier, Duration round_trip);
  // Server: a proven HELLO whose table is complete (rule 3 was checked by LinkRegistry).
  void accept(Time now, CarrierId carrier, const Hello& hello, StreamId highest,
              const std::vector<TableEntry>& table, bool created);
  void carrier_bytes(Time now, CarrierId carrier, Bytes bytes);
  void carrier_down(Time now, CarrierId carrier, Cause cause);
  // The answer to VerifyCarrier when there was nothing to read.
  void carrier_silent(Time now, CarrierId carrier);
  // The host's addresses or routes changed, or a newcomer asks: is the peer still there?
  void doubt(Time now);
  // What the kernel says of a carrier's path; wanted by wants_report() when a timeout is due, and
  // by unreported() at once.
  void path_report(Time now, CarrierId of, const PathReport& path);

  // --- Streams ----------------------------------------------------------------------------

  // Client: a new stream; fails over the limits or when the link is ending.
  Result<StreamHandle> open(Time now, const OpenRequest& request);
  // Its application's socket, for another process to go on with: before its first byte is read or
  // written; and that it is about to be closed, or has told of an error.
  void attach(StreamHandle stream, const SocketFacts& socket);
  void detach(StreamHandle stream, int descriptor);
  void latch(StreamHandle stream);
  // Server: the backend is connected.
  void opened(Time now, StreamHandle stream);
  // Server, after opened(): that connection's mark. Told on the carrier in use, or never.
  void tell_origin(Time now, StreamHandle stream, std::uint64_t mark);
  // Room for at most `want` bytes from the application: fills `buffers`, returns how many; 0
  // means stop reading until ResumeReading. Must be followed by commit() (0 bytes are fine).
  std::size_t prepare(StreamHandle stream, std::size_t want, std::span<iovec> buffers);
  void commit(Time now, StreamHandle stream, std::size_t size);
  void finish(Time now, StreamHandle stream);  // the application's EOF was read
  // The application reset its connection; the socket is gone. In order after the bytes.
  void abort(Time now, StreamHandle stream);
  // The same, but that its host has vanished; the other agent is told so.
  void vanish(Time now, StreamHandle stream);
  // We reset it: killed, refused, over a limit. At once; a ResetSocket follows.
  void reset(Time now, StreamHandle stream, Cause cause);
  // Views of what waits for the application, from the first undelivered byte on.
  std::size_t queued(StreamHandle stream, std::span<iovec> buffers);
  // The application's kernel took the next `size` bytes.
  void delivered(Time now, StreamHandle stream, std::size_t size);
  void fin_delivered(Time now, StreamHandle stream);
  void abort_delivered(Time now, StreamHandle stream);

  // --- The link ---------------------------------------------------------------------------

  // Says GOODBYE after at most a second of flushing what applications have already closed.
  void goodbye(Time now, Cause reason);
  void drain(Time now);  // server: no new streams from now on
  // Server: the services whose targets take no connections now; told to a client that wants it,
  // with every carrier and at every change.
  void tell_down(std::vector<std::string> names);
  bool tells_down() const { return down_.has_value(); }
  // Ends it without a word: every stream is reset with this cause (a goodbye's own stands).
  void end(Time now, Cause cause);
  // Drops the carrier, if there is one. A client wants another.
  void reconnect(Time now, Cause cause);
  // A reload. What one side decides alone counts at once: the services offered, timeouts, the
  // largest window, memory. What both sides agree on counts from the next carrier on: graces,
  // heartbeat, dead_after and the most streams. Role, names, slot and start id stay as they are.
  // Services keep their indices; new ones follow them.
  void reconfigure(const LinkOptions& wanted);
  // The index of a service that is offered, for OpenRequest.
  std::optional<std::uint16_t> find_service(std::string_view name) const;
  // Resets every stream of the services that are not offered any more.
  void reset_unoffered(Time now, Cause cause);
  // Client, after LinkEnded: a new link in place of the old; streams whose OPEN was never
  // written move to it.
  void renew(Time now, LinkId id);
  // Client: streams that were written to its server, and are not reset, hold the link to it.
  bool bound() const;
  // Client: takes a stream whose OPEN was never written out of another link of the same pool, with
  // what was read of it, as if it had been opened here. Nothing: it cannot be had, and stays.
  std::optional<StreamHandle> take_over(Time now, Link& from, StreamHandle stream);
  // Client: the streams whose OPEN was never written, in order of id.
  std::vector<StreamHandle> unwritten() const;

  // --- Outputs ----------------------------------------------------------------------------

  std::optional<Effect> poll_effect(Time now);
  // At most about `most` bytes; nothing while an earlier Transmit is not fully written.
  std::optional<Transmit> poll_transmit(Time now, std::size_t most);
  void written(Time now, std::size_t size);
  Time next_timeout() const;
  void timeout(Time now);
  // Events since the last call; empty unless LinkOptions::trace.
  std::vector<TraceEvent> take_trace() { return trace_.take(); }

  // --- Getters ----------------------------------------------------------------------------

  const LinkId& id() const { return id_; }
  LinkIndex index() const { return place_.index(); }  // in its region
  std::uint64_t instance() const { return instance_; }
  std::uint64_t attempt() const { return attempt_; }
  CarrierId carrier() const;  // in use (greeting or live), or 0
  bool live() const { return std::holds_alternative<Live>(state_); }
  bool ended() const { return std::holds_alternative<Ended>(state_); }
  Cause end_cause() const { return std::get<Ended>(state_).cause; }  // once ended
  bool detached() const { return std::holds_alternative<Detached>(state_); }
  bool leaving() const { return std::holds_alternative<Leaving>(state_); }
  // Client: a carrier is wanted (none, or the one in use is suspect).
  bool wants_carrier() const;
  // Client: and somebody waits for it.
  bool urgent() const { return !streams_.empty(); }
  // Since when there is no carrier; meaningful while detached or greeting.
  Time detached_since() const { return detached_since_; }
  // A carrier is there, and a question through it is overdue.
  bool silent() const { return live() && liveness_.suspect(); }
  // Silent, or without a carrier: when the peer was heard last. kNever: it is heard, or never was.
  Time outage_since() const;
  // When the grace ends; kNever while live or where none runs.
  Time grace_deadline() const { return grace_deadline_; }
  Duration grace() const { return options_.grace; }
  const Liveness& liveness() const { return liveness_; }
  bool wants_report() const;
  bool unreported() const;
  // Carriers in a row that were established and delivered nothing; 0 once something was answered.
  std::uint32_t barren_carriers() const { return first_bytes_.shown(); }
  const std::string& server_name() const { return server_name_; }
  // Server: as its clients are told. Client: by what its server is found again, while it is bound.
  const Home& home() const { return client() ? home_ : options_.home; }
  std::size_t stream_count() const { return streams_.size(); }
  const LinkCounters& counters() const { return counters_; }
  const LinkOptions& options() const { return options_; }
  bool draining() const { return draining_; }
  bool wants_target(StreamHandle stream) const;  // server: after ConnectTarget, until opened()
  // Client: the server has nothing of this link; else it may keep it for its grace.
  bool forgotten() const { return forgotten_ || attempt_ == 0; }
  std::string_view state_name() const;
  // Why it ended, for people: what the peer did wrong, or "".
  const std::string& detail() const { return detail_; }
  std::uint64_t send_log_bytes() const { return send_share_.used; }

  // Calls `visit(StreamHandle, StreamSummary)` for every stream in order of id.
  template <typename Visit>
  void for_each_stream(Time now, Visit visit) const {
    for (SlotIndex slot = streams_.first(); slot != kNoSlot; slot = streams_.next(slot)) {
      visit(StreamHandle{slot, streams_[slot].stream()}, summary(now, streams_[slot]));
    }
  }
  // The same for the streams in `most` slots from `from` on; returns where to go on, kNoSlot at the
  // end. Whatever comes and goes meanwhile, a stream that lives throughout is visited once.
  template <typename Visit>
  SlotIndex for_some_streams(Time now, SlotIndex from, SlotIndex most, Visit visit) const {
    auto slots = static_cast<SlotIndex>(streams_.slots());
    SlotIndex end = from >= slots || most >= slots - from ? slots : from + most;
    for (SlotIndex slot = from; slot < end; ++slot) {
      const StreamRecord* record = streams_.used(slot);
      if (record != nullptr) visit(StreamHandle{slot, record->stream()}, summary(now, *record));
    }
    return end == slots ? kNoSlot : end;
  }
  // Calls `visit(StreamHandle, bytes)` with what each has moved, both ways, in order of memory.
  template <typename Visit>
  void for_each_moved(Visit visit) const {
    auto slots = static_cast<SlotIndex>(streams_.slots());
    for (SlotIndex slot = 0; slot < slots; ++slot) {
      const StreamRecord* record = streams_.used(slot);
      if (record == nullptr) continue;
      visit(StreamHandle{slot, record->stream()},
            record->send.committed() + record->receive.delivered());
    }
  }
  // Sums by service, as LinkOptions::services has them. One pass in the order of memory.
  std::vector<ServiceTally> tally() const;
  std::optional<StreamSummary> find_stream(Time now, StreamId id, StreamHandle* handle) const;

  // Checks every record against the invariants of stream_record.h; CHECKs. For tests: O(streams).
  void check_invariants() const;

 private:
  bool client() const { return options_.role == LinkOptions::Role::client; }
  bool sending() const;  // stream frames may be sent: live, or leaving and still flushing
  bool reading() const;  // frames of the carrier mean something
  StreamRecord* find(StreamHandle stream) { return streams_.find(stream); }
  StreamHandle handle(SlotIndex slot) const { return streams_.handle(slot); }
  StreamSummary summary(Time now, const StreamRecord& record) const;
  void push(Effect effect) { effects_.push(std::move(effect)); }

  // link.cc: life of carrier and link
  void drop_carrier(Time now, Cause cause, bool tell_driver);
  void become_detached(Time now, Cause cause);
  void become_live(Time now, CarrierId carrier, bool resumed);
  void become_ended(Time now, Cause cause);
  void reset_all_streams(Time now, Cause cause, bool keep_unsent);
  void arm_grace(Time now);
  // The peer broke the protocol: the link ends with this cause. Always false.
  bool violation(Time now, std::string what);
  void clear_lists();
  void greeting_failed(const Greeting& greeting);
  void greeting_moves(Time now, Greeting& greeting);
  void start_greeting(Time now, CarrierId carrier, Duration round_trip);
  void use_standby(Time now);
  void release_standby();
  void silence_over(Time now, Time since);
  void start_first_bytes();
  void become_barren(Time now);

  // link_streams.cc: one stream
  void free_stream(Time now, SlotIndex slot);
  bool maybe_free(Time now, SlotIndex slot);
  void reset_stream(Time now, SlotIndex slot, Cause cause);
  void abort_stream(Time now, StreamHandle stream, Cause cause);
  bool admit_stream();
  void leave_pool();
  void give_up_socket(StreamRecord& record);
  void discard(StreamRecord& record);
  void release_memory(StreamRecord& record);
  void forget_pending(const StreamRecord& record);
  void advance_delivery(SlotIndex slot);
  void note_end(StreamRecord& record, Cause cause);
  std::uint64_t read_room(const StreamRecord& record) const;
  void maybe_resume_reading(SlotIndex slot);
  static std::uint64_t linger_progress(const StreamRecord& record);
  void start_linger(Time now, SlotIndex slot);
  void settle_connects(Time now);
  void add_deadline(std::deque<Deadline>& deadlines, SlotIndex slot, Time at);

  // link_credit.cc: acks and credit
  void announce(SlotIndex slot);
  void owe_ack(Time now, SlotIndex slot);
  void ack_now(SlotIndex slot);
  bool take_ack(Time now, SlotIndex slot, std::uint64_t ack, std::uint64_t limit);

  // link_receive.cc: frames
  void read_frames(Time now);
  void settle_delivery();
  void on_control(Time now, FrameType type, Bytes payload);
  void on_greeting_frame(Time now, FrameType type, Bytes payload);
  void on_live_frame(Time now, FrameType type, Bytes payload);
  void on_data_header(Time now, const DataHeader& header);
  void on_data_part(Time now, const FrameReader::DataPart& part);
  void on_open(Time now, const Open& open);
  void on_opened(Time now, StreamId id);
  void on_origin(Time now, const Origin& origin);  // link_origin.cc
  void on_fin(Time now, const Fin& fin);
  void on_abort(Time now, const Abort& abort);
  void on_reset(Time now, const Reset& reset);
  void on_ack(Time now, const AckList& acks);
  void on_goodbye(Time now, Cause reason);
  void on_services_down(const ServicesDown& down);  // link_services.cc
  void report_down();
  void queue_notice();
  enum class Lookup : std::uint8_t { found, ignore, violation };
  Lookup look_up(Time now, StreamId id, const char* frame, SlotIndex& slot);

  // link_resume.cc: tables
  std::vector<TableEntry> make_table();
  void on_welcome(Time now, Welcome welcome);
  void apply_welcome(Time now);
  void refuse_over_limit(Time now);
  void on_table(Time now, const TableChunk& chunk);
  bool apply_table(Time now, StreamId highest, const std::vector<TableEntry>& table);
  bool apply_entry(Time now, SlotIndex slot, const TableEntry& entry);
  bool apply_absence(Time now, SlotIndex slot, StreamId highest);
  void requeue_all(Time now);

  // link_facts.cc: what of it outlives the process, beside its streams
  LinkFacts facts() const;
  void keep_facts();

  // link_recover.cc
  void take_facts(const LinkRecord& record, const LinkFacts& facts);
  void take_stream(Time now, const OldState& state, const OldState::Link& old_link,
                   const OldState::Stream& stream, SocketJudge& judge, Recovered& recovered);

  // link_reconfigure.cc
  void agree_anew();
  Duration agreed_grace(const LinkService& service) const;
  void allow_memory(std::uint64_t cap);

  // link_transmit.cc: sending
  struct Gather;
  void gather_control(Time now, Gather& gather);
  void gather_opens(Time now, Gather& gather);
  void gather_interactive(Time now, Gather& gather);
  void gather_refusals(Time now, Gather& gather);
  void gather_stream_control(Time now, Gather& gather);
  void gather_acks(Time now, Gather& gather);
  void gather_list(Time now, Gather& gather, DataList list, std::size_t most);
  void gather_stream(Time now, Gather& gather, SlotIndex slot, std::size_t quantum);
  void gather_data(Time now, Gather& gather, SlotIndex slot, std::size_t size);
  void gather_marks(Time now, Gather& gather, SlotIndex slot);
  void gather_goodbye(Time now, Gather& gather);
  void release_pins();
  void schedule(SlotIndex slot);

  // link_move.cc
  void forget_moved(SlotIndex slot);

  // link_timers.cc
  void timeout_greeting(Time now);
  void timeout_liveness(Time now);
  void timeout_grace(Time now);
  void timeout_opens(Time now);
  void timeout_linger(Time now);
  void timeout_leaving(Time now);
  bool ready_to_leave() const;

  LinkOptions options_;               // as in force: agreed with the peer where that is needed
  LinkOptions wanted_;                // as configured
  std::vector<ServiceGrace> graces_;  // client: services' own, by the last WELCOME
  MemoryPool& pool_;
  LinkPlace place_{pool_.region};
  LinkId id_;
  std::uint64_t instance_ = 0;
  std::uint64_t& attempt_ = place_->attempt;
  std::uint64_t ordinal_;    // client: rises with every renew()
  std::string server_name_;  // bound by the first WELCOME applied
  Home home_;                // client: by the last WELCOME applied
  std::string peer_name_;    // server: the client's
  State state_ = Detached{};
  std::optional<Standby> standby_;
  bool& draining_ = place_->draining;
  bool forgotten_ = false;
  std::string detail_;

  StreamTable streams_{pool_.region, place_.index()};
  StreamId& last_id_ = place_->highest;
  std::uint64_t initial_credit_ = 0;  // of a new stream, by the last WELCOME
  std::uint32_t peer_max_streams_ = UINT32_MAX;

  // Sending.
  Outbox outbox_{streams_};
  OpenOrder order_{options_, streams_, outbox_};
  std::vector<Reset> refusals_;
  std::uint64_t peer_features_ = 0;  // of this carrier
  // Server: what it tells; nothing: nobody watches targets. Client: what it was told last, at most
  // a frame, with names that a reload may make its own.
  std::optional<std::vector<std::string>> down_;
  Buffer handshake_;       // HELLO or WELCOME with its table, not yet gathered
  Buffer handshake_sent_;  // the same while a gather refers to it
  std::optional<std::uint64_t> pong_due_;
  Buffer notice_, notice_sent_;  // SERVICES_DOWN, like the handshake
  bool ping_due_ = false;
  bool drain_due_ = false;
  std::uint64_t drain_told_us_ = 0;          // server: by this carrier; 0: not yet
  bool drain_heard_ = false;                 // the client opens no more
  std::unique_ptr<std::uint8_t[]> headers_;  // of a gather; no memory is touched before its use
  std::vector<iovec> buffers_;
  std::vector<BlockIndex> gathered_;  // blocks the unwritten gather refers to
  std::vector<BlockIndex> pinned_;    // of those, freed meanwhile
  std::size_t unwritten_ = 0;
  bool last_gathered_ = false;

  // Receiving.
  FrameReader reader_;
  PendingDelivery pending_;
  IncomingData incoming_;

  // Time.
  Liveness liveness_;
  Time live_since_{};
  FirstBytes first_bytes_;
  Time& detached_since_ = place_->detached_since;
  Time lost_since_ = kNever;  // when the carrier that was lost was heard last
  Time grace_deadline_ = kNever;
  Time service_deadline_ = kNever;  // the next service whose own grace ends
  int failed_greetings_ = 0;
  std::deque<Deadline> lingers_;
  std::deque<Deadline> open_deadlines_;

  EffectQueue effects_;
  LinkShare send_share_;
  LinkShare receive_share_;
  HalfMemory send_memory_{pool_.arena, pool_.send, send_share_, pinned_};
  HalfMemory receive_memory_{pool_.arena, pool_.receive, receive_share_, pinned_};
  LinkCounters counters_;
  TraceLog trace_{options_.trace};
};

}  // namespace holdfast
