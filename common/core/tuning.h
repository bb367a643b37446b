// Tuning constants of the core: each with its unit and its reason. None of them is on the wire.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/base/bytes.h"
#include "common/base/time.h"

namespace holdfast::tuning {

// One block of a send log or receive queue. A page: ten thousand one-byte leftovers cost 40 MiB,
// and a gather of 256 KiB is 64 entries, which the kernel copies as fast as larger ones.
inline constexpr std::size_t kBlockSize = 4 * kKiB;

// What every stream owns each way whatever the others do (bytes of credit, or of log).
inline constexpr std::size_t kFloor = 4 * kKiB;
// Blocks that hold a floor: one more than its bytes need, for a block half consumed at each end.
inline constexpr std::size_t kFloorBlocks = 2;

// Above its floor a stream takes at most free/kStreamShare, a link at most free*kLinkShare
// (dynamic thresholds: Choudhury and Hahne, IEEE/ACM ToN 6(2), 1998). So whoever grew and stalled
// leaves room for the rest.
inline constexpr std::uint64_t kStreamShare = 4;
inline constexpr std::uint64_t kLinkShare = 2;

// A stream's first window once it has been opened, before need was measured.
inline constexpr std::uint64_t kInitialWindow = 64 * kKiB;
// Bytes a stream may have read from its application and not yet sent: more would only age.
inline constexpr std::uint64_t kMaxUnsent = 1 * kMiB;
// What may be read from an application ahead of any credit.
inline constexpr std::uint64_t kReadAhead = 64 * kKiB;

// Acks go out when a quarter of the window is owed, or after this, or after a quarter of the round
// trip, at most that: on a long path they go with what answers them, and not alone. Where packets
// are lost each one more is one more behind which others wait.
inline constexpr std::uint64_t kAckFraction = 4;
inline constexpr Duration kAckDelay = milliseconds(25);
inline constexpr Duration kMostAckDelay = milliseconds(200);

// Most that one gather takes; 256 KiB beat 64 KiB by a fifth.
inline constexpr std::size_t kMaxGather = 256 * kKiB;
// What one bulk stream may put into a gather before the next one's turn. One write of the peer's to
// its application: 16 KiB cost eight connections a tenth of their throughput.
inline constexpr std::size_t kQuantum = 32 * kKiB;
// A stream with at most this much to send goes ahead of bulk ...
inline constexpr std::uint64_t kInteractiveBytes = 2 * kKiB;
// ... until those ahead have taken so many quarters of the gather while bulk waits.
inline constexpr std::size_t kInteractiveQuarters = 3;
// An OPEN follows what older streams of its service have to say: an end for at most the first of
// these times, bytes of a stream that goes on for the second, credit that does not come for two
// round trips and the third (a busy host's turn). It does not follow who has sent so much without
// a pause: a new connection beside a long upload would wait every time, for nothing.
inline constexpr Duration kFollowEnds = milliseconds(500);
inline constexpr Duration kFollowBytes = milliseconds(100);
inline constexpr Duration kFollowCredit = milliseconds(50);
inline constexpr std::uint64_t kFollowBurst = 8 * kMiB;
inline constexpr Duration kPause = milliseconds(5);
inline constexpr std::uint64_t kSocketful = 64 * kKiB;
// Room for frame headers of one gather and for its list of buffers.
inline constexpr std::size_t kHeaderSpace = 32 * kKiB;
inline constexpr std::size_t kMaxGatherBuffers = 512;

// A carrier that was written to and says nothing for max(4 RTT, this) is asked; asked in vain for
// as long again, it is suspect and the client dials a standby.
inline constexpr Duration kSuspectAfter = milliseconds(500);
inline constexpr int kSuspectRoundTrips = 4;
// What may wait before a path, in time, and in segments before its rate is known: on 64 kbit/s 16
// of them are three seconds.
inline constexpr Duration kMayWait = milliseconds(25);
inline constexpr std::uint64_t kFirstSegments = 4;
// A path with so short a round trip that has taken so much is quick, until its rate is known.
inline constexpr Duration kQuickRoundTrip = milliseconds(2);
inline constexpr std::uint64_t kQuickBytes = 100'000;
// A sample of the rate takes this long, and longer for less than four segments.
inline constexpr Duration kRateSample = milliseconds(200);
inline constexpr Duration kLongRateSample = seconds(1);
// Of a segment, for frame headers and a TLS record's own bytes.
inline constexpr std::uint64_t kFrameRoom = 96;
// A segment that every path passes (RFC 879, RFC 1122), and one that hardly any does not.
inline constexpr std::uint32_t kSmallSegment = 536;
inline constexpr std::uint32_t kMiddleSegment = 1200;
// A fresh carrier is barren when its first large segment was sent again so often in vain.
inline constexpr std::uint32_t kBarrenTimeouts = 2;
// So many greetings in a row may arrive without an answer before the next ones wait for longer: on
// a new link two tell of large packets, an old one may be behind a middlebox for ten seconds.
inline constexpr std::uint32_t kFirstMuteGreetings = 1;
inline constexpr std::uint32_t kMuteGreetings = 20;
// Bytes of ours that were sent again so often are a doubt, whatever the peer says meanwhile; once
// more, and what it says is no progress of ours.
inline constexpr std::uint32_t kStuckTimeouts = 2;
// Patience doubles with each barren carrier in a row, so often at most.
inline constexpr std::uint32_t kBarrenDoublings = 3;
// While a question stands the kernel is asked this often what of our bytes has arrived.
inline constexpr Duration kLookEvery = milliseconds(100);
// A path on which more than that waits has a queue, and its acks take their time ...
inline constexpr std::uint64_t kBacklog = 4 * kKiB;
// ... but no longer than this: an outage behind bulk is to be noticed, too.
inline constexpr Duration kMostAckTime = seconds(4);
// A server questions silence after this share of the heartbeat (percent): on an idle link the
// client has asked before, and one PING with its PONG tells both that the other is there.
inline constexpr int kServerHeartbeat = 125;
// The path's own round trip is the least one measured; it grows by the difference divided by this
// with each larger one. Under load ten are measured a second, at rest one a heartbeat: a minute of
// load hardly counts, a longer path is known after minutes.
inline constexpr int kPathMemory = 256;
// A standby that stands while the old carrier is suspect waits this long before it takes over: the
// peer was there for its handshake, so an answer on the old one may be a turn of its loop away.
inline constexpr Duration kStandbyHold = milliseconds(20);
// A timer that ran later than this after its time says that we stalled, not the peer.
inline constexpr Duration kLateTurn = milliseconds(250);

// Dials while streams live and no carrier is up: one this often, growing by a quarter each time, up
// to a quarter less by jitter; so that a SYN lost in the outage costs no more than the most after
// the path is back.
inline constexpr Duration kUrgentDial = milliseconds(400);
inline constexpr Duration kMostUrgentDial = milliseconds(800);
// Connects to one address in flight. A round trip of 5 s has that many before the first is
// answered.
inline constexpr int kMaxConnects = 6;
// Without streams the next round does not wait for longer for the last one.
inline constexpr Duration kDialPatience = seconds(2);
// Of several addresses the next one is dialled when one has come to nothing for so long (RFC 8305).
inline constexpr Duration kNextAddress = milliseconds(250);
// Without streams: exponential from the urgent interval up to this, each with 25 % jitter.
inline constexpr Duration kMaxBackoff = seconds(15);

// While bytes flow the round trip is measured this often, with what leaves anyway: windows grow by
// it, and under load it is many times what it was at rest.
inline constexpr Duration kMeasureEvery = milliseconds(100);
// ... and so many round trips later where only little flows: a PING and its PONG are two packets.
inline constexpr int kMeasureRoundTrips = 4;

// How long an application that does not read may hold up its own ABORT, and how long an ABORT
// of ours may go without its ack, while a carrier is up.
inline constexpr Duration kAbortLinger = seconds(30);

// Before GOODBYE: how long streams whose application has already closed may still flush.
inline constexpr Duration kGoodbyeFlush = seconds(1);
// How long the last frame may take before the carrier is closed without it.
inline constexpr Duration kGoodbyeWrite = milliseconds(500);

// Entries of a client's table that a server keeps at least. An honest client lists no more than the
// server's limit allowed when they were opened; one that does not know the limit yet may.
inline constexpr std::uint32_t kTableKept = 10000;

// Lanes (lane_policy.h). How often they are looked at while there are streams.
inline constexpr Duration kLaneSample = milliseconds(250);
// A stream that moves so much in a sample, and in the next ones, is bulk: 64 kbit/s are 2 KiB.
inline constexpr std::uint64_t kBulkSample = 1536;
// Bytes moved so long ago make a lane busy: a typist's pauses are shorter.
inline constexpr Duration kLaneBusy = seconds(5);
// Round trips longer by this beside bulk are a queue; where more than that moves in a second, it is
// our own buffers'.
inline constexpr Duration kQueueTime = milliseconds(20);
inline constexpr std::uint64_t kFastPath = 12'500'000;
// Packets lost before a path counts as one that loses, and how long that is remembered.
inline constexpr std::uint64_t kLossesSeen = 3;
inline constexpr Duration kTroubleKept = seconds(600);
// A path shorter than this is a host's own, or a wire's: it gets lanes when it shows trouble.
inline constexpr Duration kShortPath = microseconds(100);
// A greeting longer than this takes a slow path a while, and is waited for longer each time.
inline constexpr std::size_t kLongHello = 4 * kKiB;
// A lane with so many streams has a long table to greet with (some 33 bytes each): such lanes take
// turns of this, and four round trips more, until one is answered soon; then none waits for a
// while.
inline constexpr std::size_t kLongTable = 128;
inline constexpr Duration kLaneTurn = seconds(5);
inline constexpr Duration kSoonAnswered = milliseconds(500);
inline constexpr Duration kTurnsFree = seconds(10);
// A new stream waits for a lane that is likely to be up within this, or beside bulk for any; for so
// long at least, and at most for twice as long.
inline constexpr Duration kLaneWait = milliseconds(500);
// Without a stream for so long a lane goes; and after a refusal none comes for so long.
inline constexpr Duration kLaneIdle = seconds(30);
inline constexpr Duration kLaneRefused = seconds(60);
// How many there are at most where the config does not say.
inline constexpr unsigned kMostLanes = 8;

// RESETs for OPENs that were refused without a record, waiting to be sent.
inline constexpr std::size_t kMaxRefusals = 16384;

// Effects one poll may leave queued before the reading of frames waits for the driver.
inline constexpr std::size_t kMaxTraceEvents = 65536;

}  // namespace holdfast::tuning
