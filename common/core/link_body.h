// LinkBody: a Link's workings (link.h): its state, and what its .cc files ask of each other. Who
// drives a link sees none of it.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

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
#include "common/core/trace.h"
#include "common/wire/frame_reader.h"

namespace holdfast {

class LinkBody : protected LinkStates {
 protected:
  LinkBody(LinkOptions options, MemoryPool& pool, LinkId id, std::uint64_t instance);
  ~LinkBody();
  LinkBody(const LinkBody&) = delete;
  LinkBody& operator=(const LinkBody&) = delete;

  // What Link says to others too.
  CarrierId carrier() const;
  bool live() const { return std::holds_alternative<Live>(state_); }
  bool ended() const { return std::holds_alternative<Ended>(state_); }
  bool detached() const { return std::holds_alternative<Detached>(state_); }
  bool leaving() const { return std::holds_alternative<Leaving>(state_); }
  bool silent() const { return live() && liveness_.suspect(); }
  bool bound() const;
  Time outage_since() const;
  std::optional<std::uint16_t> find_service(std::string_view name) const;

  bool client() const { return options_.role == LinkOptions::Role::client; }
  bool sending() const;  // stream frames may be sent: live, or leaving and still flushing
  bool reading() const;  // frames of the carrier mean something
  StreamRecord* find(StreamHandle stream) { return streams_.find(stream); }
  StreamHandle handle(SlotIndex slot) const { return streams_.handle(slot); }
  StreamSummary summary(Time now, const StreamRecord& record) const;
  void push(Effect effect) { effects_.push(std::move(effect)); }

  // link.cc: life of carrier and link
  enum class Socket : std::uint8_t { is_gone, must_close };
  void drop_carrier(Time now, Cause cause, Socket socket);
  enum class Standing : std::uint8_t { created, resumed };
  void become_live(Time now, CarrierId carrier, Standing standing);
  void become_ended(Time now, Cause cause);
  enum class Unsent : std::uint8_t { stays, goes };  // streams whose OPEN was never written
  void reset_all_streams(Time now, Cause cause, Unsent unsent);
  void arm_grace();
  // The peer broke the protocol: the link ends with this cause.
  void violation(Time now, std::string what);
  bool violated(Time now, std::string what);  // the same; false, for who says whether all is well
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
  void take_options(const LinkOptions& wanted);
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
  std::uint32_t failed_greetings_ = 0, mute_greetings_ = 0;  // in a row
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
