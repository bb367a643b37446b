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

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/base/result.h"
#include "common/core/effects.h"
#include "common/core/link_body.h"
#include "common/core/summary.h"
#include "common/wire/frames.h"

namespace holdfast {

class Link : LinkBody {
 public:
  // `pool` must outlive the link.
  Link(LinkOptions options, MemoryPool& pool, LinkId id, std::uint64_t instance);
  ~Link();
  // One whose process died (recovery.h): detached, as it was then. Adds to `recovered`.
  static std::unique_ptr<Link> recover(Time now, const LinkOptions& options, MemoryPool& pool,
                                       const OldState& state, const OldState::Link& old,
                                       SocketJudge& judge, Recovered& recovered);

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
  using LinkBody::find_service;
  // Resets every stream of the services that are not offered any more.
  void reset_unoffered(Time now, Cause cause);
  // Client, after LinkEnded: a new link in place of the old; streams whose OPEN was never
  // written move to it.
  void renew(Time now, LinkId id);
  // Client: streams that were written to its server, and are not reset, hold the link to it.
  using LinkBody::bound;
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
  Intent& intent() { return pool_.region.intent(); }  // likewise
  std::uint64_t instance() const { return instance_; }
  std::uint64_t attempt() const { return attempt_; }
  using LinkBody::carrier;  // in use (greeting or live), or 0
  using LinkBody::ended;
  using LinkBody::live;
  Cause end_cause() const { return std::get<Ended>(state_).cause; }  // once ended
  using LinkBody::detached;
  using LinkBody::leaving;
  // Client: a carrier is wanted (none, or the one in use is suspect).
  bool wants_carrier() const;
  // Client: and somebody waits for it.
  bool urgent() const { return !streams_.empty(); }
  // Since when there is no carrier; meaningful while detached or greeting.
  Time detached_since() const { return detached_since_; }
  // A carrier is there, and a question through it is overdue.
  using LinkBody::silent;
  // Silent, or without a carrier: when the peer was heard last. kNever: it is heard, or never was.
  using LinkBody::outage_since;
  // When the grace ends; kNever while live or where none runs.
  Time grace_deadline() const { return grace_deadline_; }
  Duration grace() const { return options_.grace; }
  const Liveness& liveness() const { return liveness_; }
  bool wants_report(Time now) const;
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
};

}  // namespace holdfast
