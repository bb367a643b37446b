// The frame reader and every decoder: no crash, and the chunking of the input cannot be seen.
// The first byte seeds the chunks.
#include "common/wire/frame_reader.h"

#include <algorithm>
#include <string>

#include "common/base/overloaded.h"
#include "common/base/random.h"
#include "tests/fuzz/input.h"

namespace holdfast::fuzz {
namespace {

void decode(const FrameReader::ControlFrame& frame) {
  Bytes payload = frame.payload;
  switch (frame.type) {
    case FrameType::hello: {
      auto hello = decode_hello(payload);
      if (hello.ok()) FUZZ_CHECK(valid_name(hello->name));
      break;
    }
    case FrameType::welcome: {
      auto welcome = decode_welcome(payload);
      if (!welcome.ok()) break;
      FUZZ_CHECK(welcome->grace >= Duration{} && welcome->retry_after >= Duration{});
      // What was taken can be said again, and is taken again.
      Buffer again;
      encode_welcome(again, *welcome);
      FUZZ_CHECK(decode_welcome(Bytes(again).subspan(kFrameHeaderSize)).ok());
      break;
    }
    case FrameType::table: {
      auto chunk = decode_table(payload);
      for (std::size_t i = 0; chunk.ok() && i < chunk->count(); ++i) (void)chunk->entry(i);
      break;
    }
    case FrameType::open: {
      auto open = decode_open(payload);
      if (!open.ok()) break;
      std::uint8_t space[kMaxOpenFrame];
      std::size_t size = encode_open(space, *open);
      Bytes again = Bytes(space, size).subspan(kFrameHeaderSize);
      FUZZ_CHECK(std::equal(again.begin(), again.end(), payload.begin(), payload.end()));
      (void)open->source.to_string();
      break;
    }
    case FrameType::ack: {
      auto acks = decode_ack(payload);
      for (std::size_t i = 0; acks.ok() && i < acks->count(); ++i) (void)acks->entry(i);
      break;
    }
    case FrameType::opened:
      (void)decode_opened(payload).ok();
      break;
    case FrameType::fin:
      (void)decode_fin(payload).ok();
      break;
    case FrameType::abort:
      (void)decode_abort(payload).ok();
      break;
    case FrameType::reset:
      (void)decode_reset(payload).ok();
      break;
    case FrameType::ping:
    case FrameType::pong:
      (void)decode_ping(payload).ok();
      break;
    case FrameType::goodbye:
      (void)decode_goodbye(payload).ok();
      break;
    case FrameType::data:
      FUZZ_CHECK(false);
      break;
    case FrameType::origin:
      (void)decode_origin(payload).ok();
      break;
    case FrameType::services_down:
      (void)decode_services_down(frame.payload).ok();
      break;
    case FrameType::drain:
      break;
  }
}

// Takes what is there; false once the stream is malformed.
bool take(FrameReader& reader, std::string& transcript) {
  while (true) {
    FrameReader::Item item = reader.next();
    if (std::holds_alternative<FrameReader::NeedMore>(item)) return true;
    bool malformed = false;
    std::visit(overloaded{
                   [](const FrameReader::NeedMore&) {},
                   [&](const FrameReader::ControlFrame& frame) {
                     FUZZ_CHECK(frame.payload.size() <= kMaxControlPayload);
                     transcript += 'c';
                     transcript += static_cast<char>(frame.type);
                     transcript.append(frame.payload.begin(), frame.payload.end());
                     decode(frame);
                   },
                   [&](const DataHeader& header) {
                     FUZZ_CHECK(header.length >= 1 && header.length <= kMaxDataBytes);
                     transcript += 'h' + std::to_string(header.offset);
                   },
                   [&](const FrameReader::DataPart& part) {
                     FUZZ_CHECK(!part.bytes.empty());
                     transcript.append(part.bytes.begin(), part.bytes.end());
                     if (!reader.inside_frame()) transcript += 'e';
                   },
                   [&](const FrameReader::Malformed& bad) {
                     transcript += bad.error.message;
                     malformed = true;
                   },
               },
               item);
    if (malformed) return false;
  }
}

}  // namespace
}  // namespace holdfast::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace holdfast;
  fuzz::Input input(Bytes(data, size));
  Random random(input.byte());
  Bytes bytes = input.rest();
  std::string whole;
  FrameReader all;
  all.feed(bytes);
  fuzz::take(all, whole);
  std::string parts;
  FrameReader chunked;
  while (!bytes.empty()) {
    std::size_t chunk =
        std::min<std::size_t>(bytes.size(), random.between(1, 1 + random.below(64)));
    Buffer copy(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(chunk));
    chunked.feed(copy);
    (void)chunked.starts_like_hello();
    if (!fuzz::take(chunked, parts)) break;
    bytes = bytes.subspan(chunk);
  }
  FUZZ_CHECK(whole == parts);
  return 0;
}
