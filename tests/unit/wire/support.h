// Frames in short form for tests, and the golden files.
#pragma once

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "common/wire/frame_reader.h"
#include "common/wire/frames.h"
#include "tests/source_folder.h"

namespace holdfast::test {

inline std::filesystem::path golden_folder() {
  return source_folder() / "tests" / "golden";
}

// The bytes of tests/golden/NAME.hex; empty when there is no such file.
inline Buffer golden(const std::string& name) {
  std::ifstream file(golden_folder() / (name + ".hex"));
  Buffer bytes;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line.substr(0, line.find('#')));
    for (std::string word; words >> word;) {
      bytes.push_back(static_cast<std::uint8_t>(std::stoul(word, nullptr, 16)));
    }
  }
  return bytes;
}

inline std::string hex(Bytes bytes) {
  std::string text;
  for (std::uint8_t b : bytes) {
    text += "0123456789abcdef"[b >> 4];
    text += "0123456789abcdef"[b & 15];
    text += ' ';
  }
  return text;
}

// Any frame from its type and payload, well formed or not.
inline Buffer raw_frame(std::uint8_t type, const Buffer& payload) {
  Buffer frame{type, static_cast<std::uint8_t>(payload.size() >> 16),
               static_cast<std::uint8_t>(payload.size() >> 8),
               static_cast<std::uint8_t>(payload.size())};
  frame.insert(frame.end(), payload.begin(), payload.end());
  return frame;
}

inline Buffer operator+(Buffer left, const Buffer& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

inline Bytes payload_of(const Buffer& frame) {
  return Bytes(frame).subspan(kFrameHeaderSize);
}

// Encodes with one of the fixed-buffer encoders.
template <typename Encode>
Buffer small_frame(Encode encode) {
  std::uint8_t space[kMaxOpenFrame];
  std::size_t size = encode(MutableBytes(space));
  return Buffer(space, space + size);
}

inline Buffer data_frame(DataHeader header, const std::string& bytes) {
  header.length = static_cast<std::uint32_t>(bytes.size());
  Buffer frame = small_frame([&](MutableBytes to) { return encode_data_header(to, header); });
  frame.insert(frame.end(), bytes.begin(), bytes.end());
  return frame;
}
inline Buffer fin_frame(std::uint64_t id, std::uint64_t offset) {
  return small_frame([&](MutableBytes to) { return encode_fin(to, {StreamId{id}, offset}); });
}
inline Buffer abort_frame(std::uint64_t id, std::uint64_t offset, Cause cause) {
  return small_frame([&](MutableBytes to) {
    return encode_abort(to, {StreamId{id}, offset, cause});
  });
}
inline Buffer reset_frame(std::uint64_t id, Cause cause) {
  return small_frame([&](MutableBytes to) { return encode_reset(to, {StreamId{id}, cause}); });
}
inline Buffer ack_frame(const std::vector<AckEntry>& entries) {
  Buffer frame(kFrameHeaderSize + entries.size() * kAckEntrySize);
  MutableBytes to(frame);
  std::size_t size = encode_ack_header(to, entries.size());
  for (const AckEntry& entry : entries) size += encode_ack_entry(to.subspan(size), entry);
  return frame;
}
inline Buffer open_frame(std::uint64_t id, std::uint64_t limit, std::string_view service) {
  Open open;
  open.id = StreamId{id};
  open.limit = limit;
  open.service = service;
  return small_frame([&](MutableBytes to) { return encode_open(to, open); });
}
inline Buffer opened_frame(std::uint64_t id) {
  return small_frame([&](MutableBytes to) { return encode_opened(to, StreamId{id}); });
}
inline Buffer origin_frame(std::uint64_t id, std::uint64_t mark) {
  return small_frame([&](MutableBytes to) { return encode_origin(to, {StreamId{id}, mark}); });
}
inline Buffer ping_frame(std::uint64_t token) {
  return small_frame([&](MutableBytes to) { return encode_ping(to, token); });
}
inline Buffer pong_frame(std::uint64_t token) {
  return small_frame([&](MutableBytes to) { return encode_pong(to, token); });
}
inline Buffer drain_frame() {
  return small_frame([](MutableBytes to) { return encode_drain(to); });
}
inline Buffer services_down_frame(const std::vector<std::string>& names) {
  Buffer out;
  encode_services_down(out, names);
  return out;
}
inline Buffer goodbye_frame(Cause cause) {
  return small_frame([&](MutableBytes to) { return encode_goodbye_frame(to, cause); });
}
inline Buffer table_frames(std::uint64_t highest, const std::vector<TableEntry>& entries) {
  Buffer out;
  encode_table(out, StreamId{highest}, entries);
  return out;
}
inline Buffer hello_frame(const Hello& hello) {
  Buffer out;
  encode_hello(out, hello);
  return out;
}
inline Buffer welcome_frame(const Welcome& welcome) {
  Buffer out;
  encode_welcome(out, welcome);
  return out;
}

}  // namespace holdfast::test
