// Every state of a stream x every event, at both ends: the tables of docs/PROTOCOL.md, checked.
#include "tests/catch.h"
#include "tests/unit/core/scripted_peer.h"

namespace holdfast {

using namespace test;

namespace {

using Role = LinkOptions::Role;

// Every state in which the peer knows the stream has: 6 bytes sent, 2 of them acked, and 5 bytes
// received. Offsets at which the next in-order frame would stand follow from the end marks.
enum State {
  kFlowing,        // neither side has ended; all that was received is delivered
  kUnread,         // neither side has ended; 3 bytes received are not taken
  kFin,            // own FIN sent
  kPeerFin,        // the peer's FIN delivered
  kPeerFinUnread,  // the peer's FIN received behind bytes that are not taken
  kBothFin,        // own FIN sent, the peer's FIN delivered: only the last ack is missing
  kBothFinUnread,  // own FIN sent, the peer's FIN received and not delivered
  kAbort,          // own ABORT sent
  kFinAbort,       // own FIN, then own ABORT sent
  kPeerFinAbort,   // the peer's FIN delivered, then own ABORT sent
  kPeerAbort,      // the peer's ABORT received behind bytes that are not taken
  kFinPeerAbort,   // own FIN sent; the same
  kPeerAbortTold,  // the peer's ABORT after its delivered FIN: our socket is being reset
  kBothPeerAbort,  // own FIN sent, the peer's FIN delivered, its ABORT waits for nobody: freed
  kReset,          // own RESET waits to be sent
  kGone,           // not held, its id was used
  kNever,          // not held, its id was never used
  // While the stream is being opened (client, client, client, server):
  kQueued,       // the OPEN was never written
  kQueuedAgain,  // the OPEN was lost with a carrier and is to be written again
  kOpening,      // OPEN and 6 bytes were written, nothing was heard
  kConnecting,   // OPEN and 5 bytes were received, the backend does not stand yet
  kStates
};
const char* const kStateNames[] = {"flowing",
                                   "unread",
                                   "fin",
                                   "peer_fin",
                                   "peer_fin_unread",
                                   "both_fin",
                                   "both_fin_unread",
                                   "abort",
                                   "fin_abort",
                                   "peer_fin_abort",
                                   "peer_abort",
                                   "fin_peer_abort",
                                   "peer_abort_told",
                                   "both_peer_abort",
                                   "reset",
                                   "gone",
                                   "never",
                                   "queued",
                                   "queued_again",
                                   "opening",
                                   "connecting"};
static_assert(std::size(kStateNames) == kStates);

struct Setup {
  std::uint64_t id = 1;
  std::uint64_t received = 5;  // the next offset of the peer's
  std::uint64_t sent = 6;      // the next offset of ours
  std::uint64_t acked = 2;
  std::uint64_t ever_sent = 6;  // as sent, of earlier carriers too
};

bool unread(State state) {
  return state == kUnread || state == kPeerFinUnread || state == kBothFinUnread ||
         state == kPeerAbort || state == kFinPeerAbort;
}
bool own_fin_first(State state) {
  return state == kFin || state == kBothFin || state == kBothFinUnread || state == kFinAbort ||
         state == kFinPeerAbort || state == kBothPeerAbort;
}
bool peer_fin_comes(State state) {
  return state == kPeerFin || state == kPeerFinUnread || state == kBothFin ||
         state == kBothFinUnread || state == kPeerFinAbort || state == kPeerAbortTold ||
         state == kBothPeerAbort;
}
bool peer_abort_comes(State state) {
  return state == kPeerAbort || state == kFinPeerAbort || state == kPeerAbortTold ||
         state == kBothPeerAbort;
}
bool own_abort_comes(State state) {
  return state == kAbort || state == kFinAbort || state == kPeerFinAbort;
}

// Whether this end can be in the state at all.
bool possible(Role role, int state) {
  if (state < kQueued) return true;
  return (state == kConnecting) == (role == Role::server);
}

Setup bring_into_opening(ScriptedPeer& peer, State state) {
  if (state == kConnecting) {
    peer.end.connects = false;
    peer.open();
    peer.receive_data(1, 0, "12345");
    peer.end.log.clear();
    return {1, 5, 0, 0, 0};
  }
  if (state == kQueuedAgain) peer.initial_credit = 0;
  auto handle = peer.link().open(peer.now(), {0, {}, {}});
  REQUIRE(handle.ok());
  peer.end.app(1).handle = *handle;
  peer.end.write(1, "abcdef");
  if (state == kQueued) return {1, 0, 0, 0, 0};
  peer.transmit();
  if (state == kOpening) return {1, 0, 6, 0, 6};
  // The peer's table does not know the id; the OPEN is not gathered yet.
  peer.lose_carrier();
  peer.hold_after_table = true;
  peer.connect(0, {});
  peer.hold_after_table = false;
  return {1, 0, 0, 0, 6};
}

// Brings stream 1 of the link into the state, by frames and calls only.
Setup bring_into(ScriptedPeer& peer, State state) {
  Setup setup;
  if (state == kNever) return setup;
  if (state >= kQueued) return bring_into_opening(peer, state);
  peer.open();
  peer.end.app(1).appetite = unread(state) ? 2 : UINT64_MAX;
  peer.end.write(1, "abcdef");
  peer.transmit();
  peer.receive_data(1, 0, "12345", 2);
  if (own_fin_first(state)) {
    peer.end.finish(1);
    peer.transmit();
    setup.ever_sent = setup.sent += 1;
  }
  if (peer_fin_comes(state)) {
    peer.receive(fin_frame(1, setup.received));
    setup.received += 1;
  }
  if (state == kPeerAbortTold) peer.end.takes_ends = false;
  if (peer_abort_comes(state)) {
    peer.receive(abort_frame(1, setup.received, Cause::other));
    setup.received += 1;
  }
  if (own_abort_comes(state)) {
    peer.end.abort(1);
    peer.transmit();
    setup.ever_sent = setup.sent += 1;
  }
  if (state == kGone) peer.receive(reset_frame(1, Cause::admin_kill));
  if (state == kReset) {
    peer.end.reset(1, Cause::admin_kill);
    peer.end.drain();
  } else {
    peer.transmit();
  }
  peer.end.log.clear();
  return setup;
}

enum Event {
  kData,         // in order, within the limit
  kDataLate,     // an offset that was had before
  kDataAhead,    // an offset that leaves a gap
  kDataTooMuch,  // in order, beyond the limit
  kDataBadAck,   // in order, its ack beyond what was sent
  kFinFrame,     // in order
  kFinAhead,
  kAbortFrame,  // in order
  kAbortAhead,
  kResetFrame,
  kAckAll,   // everything sent is acked
  kAckSame,  // nothing new
  kAckTooFar,
  kAckBack,
  kLimitShrinks,
  kOpenFrame,  // the same id
  kOpenedFrame,
  kFinish,     // the application's EOF was read
  kAbortCall,  // the application reset its connection
  kResetCall,  // we reset it
  kDelivered,  // the application takes all that waits
  kCarrierLost,
  kListed,        // carrier lost, then a table with the entry: all of it received, 2 delivered
  kListedAbsurd,  // ... received beyond what was sent
  kListedBack,    // ... delivered below what was acked
  kAbsent,        // ... without the entry
  kEvents
};
const char* const kEventNames[] = {"DATA",
                                   "DATA late",
                                   "DATA ahead",
                                   "DATA beyond limit",
                                   "DATA bad ack",
                                   "FIN",
                                   "FIN ahead",
                                   "ABORT",
                                   "ABORT ahead",
                                   "RESET",
                                   "ACK all",
                                   "ACK same",
                                   "ACK too far",
                                   "ACK back",
                                   "limit shrinks",
                                   "OPEN",
                                   "OPENED",
                                   "finish",
                                   "abort",
                                   "reset",
                                   "delivered",
                                   "carrier lost",
                                   "table with entry",
                                   "table absurd",
                                   "table back",
                                   "table without"};
static_assert(std::size(kEventNames) == kEvents);

void table_says(ScriptedPeer& peer, const std::vector<TableEntry>& table) {
  peer.lose_carrier();
  peer.connect(1, table);
}

void happen(ScriptedPeer& peer, const Setup& at, Event event) {
  StreamHandle handle = peer.end.app(1).handle;
  std::uint64_t limit = 65536;
  switch (event) {
    case kData:
      return peer.receive_data(1, at.received, "xyz", at.acked);
    case kDataLate:
      return peer.receive_data(1, 0, "xyz", at.acked);
    case kDataAhead:
      return peer.receive_data(1, at.received + 1, "xyz", at.acked);
    case kDataTooMuch: {
      // Twice the most that this link can have granted by now.
      std::string most(kMaxDataBytes, 'x');
      peer.receive_data(1, at.received, most, at.acked);
      if (!peer.link().detail().empty() || peer.link().ended()) return;
      return peer.receive_data(1, at.received + most.size(), most, at.acked);
    }
    case kDataBadAck:
      return peer.receive_data(1, at.received, "xyz", at.sent + 1);
    case kFinFrame:
      return peer.receive(fin_frame(1, at.received));
    case kFinAhead:
      return peer.receive(fin_frame(1, at.received + 1));
    case kAbortFrame:
      return peer.receive(abort_frame(1, at.received, Cause::other));
    case kAbortAhead:
      return peer.receive(abort_frame(1, at.received + 1, Cause::other));
    case kResetFrame:
      return peer.receive(reset_frame(1, Cause::admin_kill));
    case kAckAll:
      return peer.receive(ack_frame({{StreamId{1}, at.sent, limit}}));
    case kAckSame:
      return peer.receive(ack_frame({{StreamId{1}, at.acked, limit}}));
    case kAckTooFar:
      return peer.receive(ack_frame({{StreamId{1}, at.sent + 1, limit}}));
    case kAckBack:
      return peer.receive(ack_frame({{StreamId{1}, at.acked - 1, limit}}));
    case kLimitShrinks:
      return peer.receive(ack_frame({{StreamId{1}, at.acked, limit - 1}}));
    case kOpenFrame:
      return peer.receive(open_frame(1, limit, "echo"));
    case kOpenedFrame:
      return peer.receive(opened_frame(1));
    case kFinish:
      return peer.link().finish(peer.now(), handle);
    case kAbortCall:
      return peer.link().abort(peer.now(), handle);
    case kResetCall:
      return peer.link().reset(peer.now(), handle, Cause::admin_kill);
    case kDelivered:
      return peer.end.eat(1, UINT64_MAX);
    case kCarrierLost:
      return peer.lose_carrier();
    case kListed:
      return table_says(peer, {{StreamId{1}, at.ever_sent, at.acked, limit, true}});
    case kListedAbsurd:
      return table_says(peer, {{StreamId{1}, at.ever_sent + 1, at.acked, limit, true}});
    case kListedBack:
      return table_says(peer, {{StreamId{1}, at.ever_sent, at.acked - 1, limit, true}});
    case kAbsent:
      return table_says(peer, {});
    case kEvents:
      break;
  }
}

// What followed, in letters. Effects: D deliver, F the peer's FIN, B the peer's ABORT, S the
// application's socket is reset, E ended, C connect, O opened. Frames: a ACK, d DATA, f FIN,
// b ABORT, r RESET, o OPEN, p OPENED. "V": the link ended, the peer broke the protocol.
// "-": nothing.
std::string outcome(ScriptedPeer& peer) {
  peer.end.drain();
  if (peer.violated()) return "V";
  std::string letters = peer.end.log;
  // The timer of delayed acks is no part of the table.
  std::vector<SentFrame> frames = std::exchange(peer.after_table, {});
  for (SentFrame& frame : peer.transmit()) frames.push_back(std::move(frame));
  for (const SentFrame& frame : frames) {
    switch (frame.type) {
      case FrameType::ack:
        letters += 'a';
        break;
      case FrameType::data:
        letters += 'd';
        break;
      case FrameType::fin:
        letters += 'f';
        break;
      case FrameType::abort:
        letters += 'b';
        break;
      case FrameType::reset:
        letters += 'r';
        break;
      case FrameType::open:
        letters += 'o';
        break;
      case FrameType::opened:
        letters += 'p';
        break;
      default:
        break;
    }
  }
  // What a gather ended comes last.
  if (peer.end.log.size() > 0 && peer.end.log.back() == 'E' &&
      letters.find('E') == std::string::npos) {
    letters += 'E';
  }
  return letters.empty() ? "-" : letters;
}

// clang-format off
// The expected outcomes, checked by hand against the rules of docs/PROTOCOL.md. A column is a state, in the order
// of State (the last: connecting); a row is an event, in the order of Event.
//   flow unre fin  pfin pf_u both bf_u abrt fabt pfab pabt fpab told bpab rset gone nevr conn
constexpr const char* kServer[] = {
    "D    -    D    V    V    V    V    -    -    -    V    V    V    -    rE   -    V    -",  // DATA
    "V    V    V    V    V    V    V    -    -    -    V    V    V    -    rE   -    V    V",  // DATA late
    "V    V    V    V    V    V    V    -    -    -    V    V    V    -    rE   -    V    V",  // DATA ahead
    "V    V    V    V    V    V    V    -    -    -    V    V    V    -    rE   -    V    V",  // DATA beyond limit
    "V    V    V    V    V    V    V    V    V    V    V    V    V    -    rE   -    V    V",  // DATA bad ack
    "F    -    Fa   V    V    V    V    -    -    -    V    V    V    -    rE   -    V    -",  // FIN
    "V    V    V    V    V    V    V    -    -    -    V    V    V    -    rE   -    V    V",  // FIN ahead
    "BaE  -    BaE  BaE  -    aE   -    rE   rE   rE   V    V    V    -    rE   -    V    -",  // ABORT
    "V    V    V    V    V    V    V    rE   rE   rE   V    V    V    -    rE   -    V    V",  // ABORT ahead
    "SE   SE   SE   SE   SE   E    SE   E    E    E    SE   SE   SE   -    E    -    V    SE",  // RESET
    "-    -    -    -    -    E    -    E    E    E    -    -    -    -    rE   -    V    -",  // ACK all
    "-    -    -    -    -    -    -    -    -    -    -    -    -    -    rE   -    V    -",  // ACK same
    "V    V    V    V    V    V    V    V    V    V    V    V    V    -    rE   -    V    V",  // ACK too far
    "V    V    V    V    V    V    V    V    V    V    V    V    V    -    rE   -    V    V",  // ACK back
    "V    V    V    V    V    V    V    V    V    V    V    V    V    -    rE   -    V    V",  // limit shrinks
    "V    V    V    V    V    V    V    V    V    V    V    V    V    V    V    V    Cp   V",  // OPEN
    "V    V    V    V    V    V    V    V    V    V    V    V    V    V    V    V    V    V",  // OPENED
    "f    f    -    fa   f    -    -    -    -    -    -    -    -    -    rE   -    -    f",  // finish
    "ba   ba   ba   ba   ba   -    ba   -    -    -    rE   rE   rE   -    rE   -    -    ba",  // abort
    "SrE  SrE  SrE  SrE  SrE  rE   SrE  rE   rE   rE   SrE  SrE  SrE  -    rE   -    -    SrE",  // reset
    "-    -    -    -    F    -    Fa   -    -    -    BaE  BaE  -    -    rE   -    -    -",  // delivered
    "-    -    -    -    -    -    -    -    -    -    -    -    -    -    -    -    -    -",  // carrier lost
    "-    -    -    -    -    -    -    a    a    a    -    -    -    -    Er   -    -    -",  // table with entry
    "V    V    V    V    V    V    V    V    V    V    V    V    V    -    Er   -    -    V",  // table absurd
    "V    V    V    V    V    V    V    V    V    V    V    V    V    -    Er   -    -    V",  // table back
    "SE   SE   SE   SE   SE   E    SE   E    E    E    SE   SE   SE   -    E    -    -    SE",  // table without
};
// The same at the client (the last three: queued, queued_again, opening). It opens streams and never
// takes an OPEN; and a table that names what it does not hold is a violation there.
//   flow unre fin  pfin pf_u both bf_u abrt fabt pfab pabt fpab told bpab rset gone nevr que again opening
constexpr const char* kClient[] = {
    "D    -    D    V    V    V    V    -    -    -    V    V    V    -    rE   -    V    V    V    D",  // DATA
    "V    V    V    V    V    V    V    -    -    -    V    V    V    -    rE   -    V    V    V    D",  // DATA late
    "V    V    V    V    V    V    V    -    -    -    V    V    V    -    rE   -    V    V    V    V",  // DATA ahead
    "V    V    V    V    V    V    V    -    -    -    V    V    V    -    rE   -    V    V    V    V",  // DATA beyond limit
    "V    V    V    V    V    V    V    V    V    V    V    V    V    -    rE   -    V    V    V    V",  // DATA bad ack
    "F    -    Fa   V    V    V    V    -    -    -    V    V    V    -    rE   -    V    V    V    F",  // FIN
    "V    V    V    V    V    V    V    -    -    -    V    V    V    -    rE   -    V    V    V    V",  // FIN ahead
    "BaE  -    BaE  BaE  -    aE   -    rE   rE   rE   V    V    V    -    rE   -    V    V    V    BaE",  // ABORT
    "V    V    V    V    V    V    V    rE   rE   rE   V    V    V    -    rE   -    V    V    V    V",  // ABORT ahead
    "SE   SE   SE   SE   SE   E    SE   E    E    E    SE   SE   SE   -    E    -    V    V    V    SE",  // RESET
    "-    -    -    -    -    E    -    E    E    E    -    -    -    -    rE   -    V    V    V    -",  // ACK all
    "-    -    -    -    -    -    -    -    -    -    -    -    -    -    rE   -    V    V    V    -",  // ACK same
    "V    V    V    V    V    V    V    V    V    V    V    V    V    -    rE   -    V    V    V    V",  // ACK too far
    "V    V    V    V    V    V    V    V    V    V    V    V    V    -    rE   -    V    V    V    V",  // ACK back
    "V    V    V    V    V    V    V    V    V    V    V    V    V    -    rE   -    V    V    V    V",  // limit shrinks
    "V    V    V    V    V    V    V    V    V    V    V    V    V    V    V    V    V    V    V    V",  // OPEN
    "-    -    -    -    -    -    -    -    -    -    -    -    -    -    rE   -    V    V    V    O",  // OPENED
    "f    f    -    fa   f    -    -    -    -    -    -    -    -    -    rE   -    -    odf  o    f",  // finish
    "ba   ba   ba   ba   ba   -    ba   -    -    -    rE   rE   rE   -    rE   -    -    odba o    ba",  // abort
    "SrE  SrE  SrE  SrE  SrE  rE   SrE  rE   rE   rE   SrE  SrE  SrE  -    rE   -    -    SE   SE   SrE",  // reset
    "-    -    -    -    F    -    Fa   -    -    -    BaE  BaE  -    -    rE   -    -    od   o    -",  // delivered
    "-    -    -    -    -    -    -    -    -    -    -    -    -    -    -    -    -    -    -    -",  // carrier lost
    "-    -    -    -    -    -    -    a    a    a    -    -    -    V    Er   V    V    V    O    O",  // table with entry
    "V    V    V    V    V    V    V    V    V    V    V    V    V    V    Er   V    V    V    V    V",  // table absurd
    "V    V    V    V    V    V    V    V    V    V    V    V    V    V    Er   V    V    V    V    V",  // table back
    "SE   SE   SE   SE   SE   E    SE   E    E    E    SE   SE   SE   -    E    -    V    od   SE   SE",  // table without
};
// clang-format on
static_assert(std::size(kServer) == kEvents && std::size(kClient) == kEvents);

std::string expected_outcome(Role role, int state, int event) {
  std::istringstream row(role == Role::client ? kClient[event] : kServer[event]);
  int column = state < kConnecting || role == Role::client ? state : kQueued;
  std::string word;
  for (int i = 0; i <= column; ++i) row >> word;
  return word;
}

}  // namespace

TEST_CASE("every state of a stream answers every event by the table") {
  for (Role role : {Role::server, Role::client}) {
    for (int event = 0; event < kEvents; ++event) {
      for (int state = 0; state < kStates; ++state) {
        INFO((role == Role::client ? "client" : "server")
             << ", state " << kStateNames[state] << ", event " << kEventNames[event]);
        ScriptedPeer peer(role);
        if (!possible(role, state)) continue;
        Setup setup = bring_into(peer, static_cast<State>(state));
        peer.after_table.clear();
        REQUIRE(peer.link().detail() == "");
        REQUIRE(peer.link().live());
        happen(peer, setup, static_cast<Event>(event));
        std::string seen = outcome(peer);
        CHECK(seen == expected_outcome(role, state, event));
      }
    }
  }
}

}  // namespace holdfast
