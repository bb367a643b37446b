#include "common/agent/probe_link.h"

#include <poll.h>
#include <sys/uio.h>

#include <algorithm>

#include "common/io/secure_random.h"

namespace holdfast {
namespace {

using std::chrono::milliseconds;

// An odd type that means nothing: whoever does not know it skips it (PROTOCOL.md, section 2).
constexpr std::uint8_t kFiller = 127;
constexpr std::size_t kReadBytes = 64 * 1024;
constexpr std::uint64_t kSmallLimit = 8 * 1024;

template <typename Encode>
void append(Buffer& out, std::size_t most, Encode encode) {
  Buffer piece(most);
  piece.resize(encode(MutableBytes(piece.data(), most)));
  out.insert(out.end(), piece.begin(), piece.end());
}

}  // namespace

ProbeLink::ProbeLink(Descriptor connected, TlsContext* context)
    : socket_(std::move(connected)), transport_(transport_factory(context)(socket_.get())) {}

ProbeLink::~ProbeLink() {
  if (!greeted_) return;
  Buffer bytes;
  append(bytes, kMaxSmallFrame,
         [](MutableBytes to) { return encode_goodbye_frame(to, Cause::goodbye); });
  if (send(bytes, Clock::now() + milliseconds(200))) transport_->shut_down();
}

bool ProbeLink::wait(WaitFor what, Clock::time_point until) {
  Transport::Wants wants = transport_->wants();
  pollfd one{socket_.get(), 0, 0};
  if (what == WaitFor::input || wants.read) one.events |= POLLIN;
  if (what == WaitFor::room || wants.write) one.events |= POLLOUT;
  auto left = std::chrono::duration_cast<milliseconds>(until - Clock::now()).count();
  return left > 0 && ::poll(&one, 1, static_cast<int>(left)) > 0;
}

Error ProbeLink::broken(const char* when) const {
  std::string error = transport_->error();
  return Error{error.empty() ? std::string("the connection ended ") + when : error};
}

Status ProbeLink::handshake(milliseconds patience) {
  Clock::time_point until = Clock::now() + patience;
  for (;;) {
    switch (transport_->handshake()) {
      case Transport::Status::done:
        identity_ = transport_->identity().value_or("");
        return Ok{};
      case Transport::Status::again:
        // The handshake reads, unless it says otherwise.
        if (!wait(transport_->wants().write ? WaitFor::room : WaitFor::input, until))
          return Error{"no answer to the handshake"};
        break;
      default:
        return broken("during the handshake");
    }
  }
}

Status ProbeLink::send(const Buffer& bytes, Clock::time_point until) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    iovec piece{const_cast<std::uint8_t*>(bytes.data()) + done, bytes.size() - done};
    Transport::Outcome outcome = transport_->write(std::span<const iovec>(&piece, 1));
    if (outcome.status == Transport::Status::done) {
      done += outcome.bytes;
    } else if (outcome.status != Transport::Status::again) {
      return broken("while it was written to");
    } else if (!wait(WaitFor::room, until)) {
      return Error{"the other side takes nothing"};
    }
  }
  return Ok{};
}

Status ProbeLink::read_more(Clock::time_point until) {
  held_.resize(kReadBytes);
  for (;;) {
    Transport::Outcome outcome = transport_->read(MutableBytes(held_.data(), held_.size()));
    if (outcome.status == Transport::Status::done) {
      reader_.feed(Bytes(held_.data(), outcome.bytes));
      break;
    }
    if (outcome.status != Transport::Status::again) return broken("by the other side");
    if (!transport_->buffered() && !wait(WaitFor::input, until)) return Error{"no answer"};
  }
  for (;;) {
    FrameReader::Item item = reader_.next();
    if (std::holds_alternative<FrameReader::NeedMore>(item)) return Ok{};
    if (auto* wrong = std::get_if<FrameReader::Malformed>(&item)) return wrong->error;
    auto* frame = std::get_if<FrameReader::ControlFrame>(&item);
    if (frame == nullptr) continue;  // data of a service that speaks first
    if (frame->type == FrameType::ping) {
      auto asked = decode_ping(frame->payload);
      Buffer answer;
      std::uint64_t token = asked ? asked->token : 0;
      append(answer, kMaxSmallFrame, [&](MutableBytes to) { return encode_pong(to, token); });
      if (Status sent = send(answer, until); !sent) return sent;
      continue;
    }
    frames_.push_back({frame->type, Buffer(frame->payload.begin(), frame->payload.end())});
  }
}

Result<ProbeLink::Frame> ProbeLink::receive(Clock::time_point until) {
  while (frames_.empty()) {
    if (Status read = read_more(until); !read) return read.error();
  }
  Frame frame = std::move(frames_.front());
  frames_.pop_front();
  return frame;
}

Result<Welcome> ProbeLink::greet(const std::string& name, milliseconds patience) {
  Clock::time_point until = Clock::now() + patience;
  Hello hello;
  for (std::size_t i = 0; i < hello.link.bytes.size(); ++i) {
    hello.link.bytes[i] = static_cast<std::uint8_t>(random_u64());
  }
  hello.attempt = 1;
  hello.name = name;
  hello.slot = static_cast<std::uint32_t>(random_u64() | 1);  // 0 is the simple form's
  hello.start_id = random_u64();
  hello.ordinal = 1;
  Buffer bytes;
  encode_hello(bytes, hello);
  encode_table(bytes, StreamId{0}, {});
  if (Status sent = send(bytes, until); !sent) return sent.error();
  Result<Frame> first = receive(until);
  if (!first) return first.error();
  if (first->type != FrameType::welcome) return Error{"the first answer is no WELCOME"};
  Result<Welcome> welcome = decode_welcome(first->payload);
  if (!welcome || welcome->verdict != Verdict::created) return welcome;
  for (bool last = false; !last;) {
    Result<Frame> next = receive(until);
    if (!next) return next.error();
    if (next->type != FrameType::table) continue;
    auto chunk = decode_table(next->payload);
    if (!chunk) return chunk.error();
    last = chunk->last;
  }
  greeted_ = true;
  return welcome;
}

Status ProbeLink::ping(PingSize size, milliseconds patience) {
  Clock::time_point until = Clock::now() + patience;
  Buffer bytes;
  if (size == PingSize::large) {
    bytes = {kFiller, 0, kMaxControlPayload >> 8, kMaxControlPayload & 255};
    bytes.resize(kFrameHeaderSize + kMaxControlPayload);
  }
  std::uint64_t token = ++last_ping_;
  append(bytes, kMaxSmallFrame, [&](MutableBytes to) { return encode_ping(to, token); });
  if (Status sent = send(bytes, until); !sent) return sent;
  for (;;) {
    Result<Frame> frame = receive(until);
    if (!frame) return frame.error();
    if (frame->type != FrameType::pong) continue;
    auto pong = decode_ping(frame->payload);
    if (pong && pong->token == token) return Ok{};
  }
}

Result<Cause> ProbeLink::open(const std::string& service, milliseconds patience) {
  Clock::time_point until = Clock::now() + patience;
  StreamId id{next_stream_++};
  Open open;
  open.id = id;
  open.limit = kSmallLimit;
  open.service = service;
  Buffer bytes;
  append(bytes, kMaxOpenFrame, [&](MutableBytes to) { return encode_open(to, open); });
  if (Status sent = send(bytes, until); !sent) return sent.error();
  for (;;) {
    Result<Frame> frame = receive(until);
    if (!frame) return frame.error();
    if (frame->type == FrameType::reset) {
      auto reset = decode_reset(frame->payload);
      if (reset && reset->id == id) return reset->code;
    }
    auto opened = frame->type == FrameType::opened ? decode_opened(frame->payload)
                                                   : Result<Opened>(Error{"another frame"});
    if (!opened || opened->id != id) continue;
    Buffer end;
    append(end, kMaxSmallFrame, [&](MutableBytes to) {
      return encode_reset(to, {id, Cause::goodbye});
    });
    if (Status sent = send(end, until); !sent) return sent.error();
    return Cause::none;
  }
}

}  // namespace holdfast
