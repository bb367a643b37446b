#include "common/core/hello_reader.h"

#include "common/base/overloaded.h"

namespace holdfast {
namespace {

// RFC 8446, section 5.1: a record of type handshake, version 3.x.
bool begins_as_tls(Bytes bytes) {
  return bytes.size() >= 2 && bytes[0] == 22 && bytes[1] == 3;
}

}  // namespace

void HelloReader::fail(std::string reason) {
  state_ = State::failed;
  reason_ = std::move(reason);
  request_ = {};
}

void HelloReader::take_table(Bytes payload) {
  auto chunk = decode_table(payload);
  if (!chunk) return fail(chunk.error().message);
  if (!chunk->last && chunk->count() == 0) return fail("empty table chunk");
  for (std::size_t i = 0; i < chunk->count(); ++i) {
    TableEntry entry = chunk->entry(i);
    if (entry.id <= last_listed_) return fail("table out of order");
    last_listed_ = entry.id;
    listed_ += 1;
    if (listed_ > kMostTableEntries) return fail("table too long");
    request_.cut_short = request_.table.size() >= most_kept_;
    if (!request_.cut_short) request_.table.push_back(entry);
  }
  if (chunk->last) {
    request_.highest = chunk->highest;
    state_ = State::complete;
  }
}

void HelloReader::take(const FrameReader::ControlFrame& frame) {
  if (greeted_) {
    if (frame.type == FrameType::table) return take_table(frame.payload);
    return fail("expected TABLE after HELLO");
  }
  if (frame.type != FrameType::hello) return fail("expected HELLO");
  auto hello = decode_hello(frame.payload);
  if (!hello) return fail(hello.error().message);
  request_.hello = std::move(*hello);
  greeted_ = true;
}

HelloReader::State HelloReader::feed(Bytes bytes) {
  if (state_ != State::incomplete) return state_;
  reader_.feed(bytes);
  while (state_ == State::incomplete) {
    FrameReader::Item item = reader_.next();
    if (std::holds_alternative<FrameReader::NeedMore>(item)) break;
    std::visit(
        overloaded{
            [](const FrameReader::NeedMore&) {},
            [&](const FrameReader::ControlFrame& frame) { take(frame); },
            [&](const DataHeader&) { fail("DATA before HELLO"); },
            [&](const FrameReader::DataPart&) { fail("DATA before HELLO"); },
            [&](const FrameReader::Malformed& bad) {
              bool tls = !greeted_ && begins_as_tls(bytes);
              fail(tls ? "it speaks TLS, and this link is unsafe_plaintext" : bad.error.message);
            },
        },
        item);
  }
  if (state_ == State::complete && (reader_.unread() != 0 || reader_.inside_frame())) {
    fail("bytes after the table and before WELCOME");
  }
  // A stray peer is known by its first bytes: do not wait for the rest of its "frame".
  if (state_ == State::incomplete && !greeted_) {
    before_hello_ += bytes.size();
    bool too_many = before_hello_ > kFrameHeaderSize + kMaxControlPayload;  // optional frames only
    if (too_many || !reader_.starts_like_hello()) fail("not a Holdfast client");
  }
  return state_;
}

}  // namespace holdfast
