// One Link whose peer is the test itself: frames go in by hand, what comes out is decoded.
#pragma once

#include "tests/unit/core/link_pair.h"
#include "tests/unit/wire/support.h"

namespace holdfast::test {

// A frame that the link sent, as far as tests ask for it.
struct SentFrame {
  FrameType type{};
  std::uint64_t id = 0;
  std::uint64_t offset = 0;
  std::uint64_t ack = 0;
  std::uint64_t limit = 0;
  Cause code{};
  std::string bytes;
  std::vector<AckEntry> acks;
  std::vector<TableEntry> table;
  std::uint64_t highest = 0;
};

inline SentFrame decode_sent(const FrameReader::ControlFrame& frame) {
  SentFrame sent;
  sent.type = frame.type;
  switch (frame.type) {
    case FrameType::ack: {
      auto acks = decode_ack(frame.payload);
      REQUIRE(acks.ok());
      for (std::size_t i = 0; i < acks->count(); ++i) sent.acks.push_back(acks->entry(i));
      break;
    }
    case FrameType::table: {
      auto chunk = decode_table(frame.payload);
      REQUIRE(chunk.ok());
      sent.highest = chunk->highest.value;
      for (std::size_t i = 0; i < chunk->count(); ++i) sent.table.push_back(chunk->entry(i));
      break;
    }
    case FrameType::open:
      sent.id = decode_open(frame.payload)->id.value;
      sent.limit = decode_open(frame.payload)->limit;
      break;
    case FrameType::fin:
      sent.id = decode_fin(frame.payload)->id.value;
      sent.offset = decode_fin(frame.payload)->offset;
      break;
    case FrameType::abort:
      sent.id = decode_abort(frame.payload)->id.value;
      sent.offset = decode_abort(frame.payload)->offset;
      break;
    case FrameType::reset:
      sent.id = decode_reset(frame.payload)->id.value;
      sent.code = decode_reset(frame.payload)->code;
      break;
    case FrameType::opened:
      sent.id = decode_opened(frame.payload)->id.value;
      break;
    case FrameType::origin:
      sent.id = decode_origin(frame.payload)->id.value;
      break;
    case FrameType::goodbye:
      sent.code = decode_goodbye(frame.payload)->reason;
      break;
    case FrameType::ping:
    case FrameType::pong:
      sent.id = decode_ping(frame.payload)->token;
      break;
    default:
      break;
  }
  return sent;
}

// Cuts a gather into its frames; every gather is made of whole ones.
inline std::vector<SentFrame> decode_gather(Bytes bytes) {
  FrameReader reader;
  reader.feed(bytes);
  std::vector<SentFrame> frames;
  while (true) {
    FrameReader::Item item = reader.next();
    if (std::holds_alternative<FrameReader::NeedMore>(item)) break;
    REQUIRE_FALSE(std::holds_alternative<FrameReader::Malformed>(item));
    if (auto* control = std::get_if<FrameReader::ControlFrame>(&item)) {
      frames.push_back(decode_sent(*control));
    } else if (auto* data = std::get_if<DataHeader>(&item)) {
      SentFrame sent;
      sent.type = FrameType::data;
      sent.id = data->id.value;
      sent.offset = data->offset;
      sent.ack = data->ack;
      sent.limit = data->limit;
      frames.push_back(sent);
    } else if (auto* part = std::get_if<FrameReader::DataPart>(&item)) {
      frames.back().bytes.append(reinterpret_cast<const char*>(part->bytes.data()),
                                 part->bytes.size());
    }
  }
  CHECK_FALSE(reader.inside_frame());
  return frames;
}

class ScriptedPeer {
 public:
  using Role = LinkOptions::Role;

  explicit ScriptedPeer(Role role, std::uint64_t memory = 64 * kMiB, std::uint32_t streams = 1000,
                        const MarkKey& mark_key = {})
      : end(memory, streams), role_(role) {
    LinkOptions options;
    options.role = role;
    options.name = "me";
    options.services = {{"echo", seconds(300)}};
    options.max_streams = streams;
    options.mark_key = mark_key;
    link_ = std::make_unique<Link>(options, end.pool, LinkId{{1}}, role == Role::server ? 99 : 0);
    end.link = link_.get();
    end.now = Time(seconds(10));
    initial_credit = 65536;
    connect();
    end.log.clear();
  }
  ~ScriptedPeer() {
    link_.reset();
    // Whatever happened, a link that is gone has left nothing behind.
    CHECK(end.pool.arena.in_use() == 0);
    CHECK(end.pool.send.used() == 0);
    CHECK(end.pool.receive.used() == 0);
    CHECK(end.pool.streams() == 0);
  }

  Link& link() { return *link_; }
  bool client() const { return role_ == Role::client; }
  CarrierId carrier() const { return CarrierId{carrier_}; }
  Time now() const { return end.now; }
  void pass(Duration time) { end.now += time; }

  // A new carrier whose peer has this table; what the link sent before is gone.
  void connect(std::uint64_t highest = 0, const std::vector<TableEntry>& table = {}) {
    carrier_ += 1;
    bool first = carrier_ == 1;
    if (client()) {
      link_->carrier_up(end.now, carrier(), Duration{});
      end.drain();
      transmit();
      Welcome welcome;
      welcome.verdict = first ? Verdict::created : Verdict::resumed;
      welcome.instance = 99;
      welcome.server = "gate";
      welcome.grace = seconds(300);
      welcome.max_streams = 100000;
      welcome.initial_credit = initial_credit;
      receive(welcome_frame(welcome) + table_frames(highest, table));
      if (!hold_after_table) after_table = transmit();
    } else {
      Hello hello;
      hello.attempt = carrier_;
      hello.name = "edge";
      link_->accept(end.now, carrier(), hello, StreamId{highest}, table, first);
      end.drain();
      if (!hold_after_table) after_table = transmit();
    }
  }
  void lose_carrier() {
    link_->carrier_down(end.now, carrier(), Cause::carrier_reset);
    end.drain();
  }
  // The peer says this; effects are done at once.
  void receive(const Buffer& bytes) { end.receive(carrier(), bytes); }
  void receive_data(std::uint64_t id, std::uint64_t offset, const std::string& bytes,
                    std::uint64_t ack = 0, std::uint64_t limit = 65536) {
    receive(data_frame({StreamId{id}, offset, ack, limit, 0}, bytes));
  }
  // Everything that the link has to say now.
  std::vector<SentFrame> transmit() {
    std::vector<SentFrame> frames;
    while (auto gather = link_->poll_transmit(end.now, tuning::kMaxGather)) {
      Buffer bytes = flatten(*gather);
      for (SentFrame& frame : decode_gather(bytes)) frames.push_back(std::move(frame));
      link_->written(end.now, gather->bytes);
      end.drain();
    }
    return frames;
  }
  static Buffer flatten(const Transmit& gather) {
    Buffer bytes;
    for (const iovec& part : gather.buffers) {
      auto* data = static_cast<const std::uint8_t*>(part.iov_base);
      bytes.insert(bytes.end(), data, data + part.iov_len);
    }
    REQUIRE(bytes.size() == gather.bytes);
    return bytes;
  }
  std::vector<SentFrame> advance(Duration time) {
    pass(time);
    end.drain();
    return transmit();
  }

  // A new stream, known to both, whose first limit towards the peer is initial_credit.
  std::uint64_t open() {
    std::uint64_t id = ++last_id_;
    if (client()) {
      auto handle = link_->open(end.now, {0, {}, {}});
      REQUIRE(handle.ok());
      end.app(id).handle = *handle;
      transmit();
      receive(opened_frame(id));
    } else {
      receive(open_frame(id, initial_credit, "echo"));
      transmit();
    }
    return id;
  }
  // True when the link ended, or is about to, because the peer broke the protocol; checks that
  // it is said to the peer.
  bool violated() {
    if (link_->state_name() != "leaving" && !link_->ended()) return false;
    if (link_->detail().empty()) return false;
    if (!link_->ended()) {
      auto frames = transmit();
      REQUIRE(!frames.empty());
      CHECK(frames.back().type == FrameType::goodbye);
      CHECK(frames.back().code == Cause::protocol);
    }
    CHECK(link_->ended());
    CHECK(end.ended == Cause::protocol);
    return true;
  }

  End end;
  std::uint64_t initial_credit = 65536;
  bool hold_after_table = false;
  std::vector<SentFrame> after_table;  // what the link said once the last connect() was done

 private:
  Role role_;
  std::unique_ptr<Link> link_;
  std::uint64_t carrier_ = 0;
  std::uint64_t last_id_ = 0;
};

}  // namespace holdfast::test
