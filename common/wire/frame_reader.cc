#include "common/wire/frame_reader.h"

#include <algorithm>

#include "common/wire/coding.h"

namespace holdfast {
namespace {

bool known(FrameType type) {
  auto value = static_cast<std::uint8_t>(type);
  if (type == FrameType::services_down || type == FrameType::origin) return true;
  return value % 2 == 0 && value >= static_cast<std::uint8_t>(FrameType::hello) &&
         value <= static_cast<std::uint8_t>(FrameType::goodbye);
}

FrameReader::Malformed malformed(const char* what, std::uint8_t type, std::size_t length) {
  return {Error{std::string(what) + " (type " + std::to_string(type) + ", length " +
                std::to_string(length) + ")"}};
}

}  // namespace

void FrameReader::feed(Bytes bytes) {
  HOLDFAST_CHECK(input_.empty());
  input_ = bytes;
}

// Judges a frame by its header; sets `whole_size` to what must be there before it can be handed
// out: the whole frame, or for DATA header and prefix only.
FrameReader::Item FrameReader::parse_header(const std::uint8_t* frame,
                                            std::size_t& whole_size) const {
  auto word = load_big_endian<std::uint32_t>(frame);
  auto type = static_cast<FrameType>(word >> 24);
  std::size_t length = word & 0xffffff;
  auto raw_type = static_cast<std::uint8_t>(type);
  if (type == FrameType::data) {
    if (length <= kDataPrefixSize || length > kDataPrefixSize + kMaxDataBytes) {
      return malformed("DATA of a wrong length", raw_type, length);
    }
    whole_size = kFrameHeaderSize + kDataPrefixSize;
    return NeedMore{};
  }
  if (length > kMaxControlPayload) return malformed("frame too long", raw_type, length);
  if (raw_type % 2 == 0 && !known(type)) return malformed("unknown frame", raw_type, length);
  whole_size = kFrameHeaderSize + length;
  return NeedMore{};
}

FrameReader::Item FrameReader::take_whole(Bytes frame) {
  auto word = load_big_endian<std::uint32_t>(frame.data());
  auto type = static_cast<FrameType>(word >> 24);
  if (type == FrameType::data) {
    DataHeader header = decode_data_header(frame.data() + kFrameHeaderSize, word & 0xffffff);
    data_left_ = header.length;
    return header;
  }
  return ControlFrame{type, frame.subspan(kFrameHeaderSize)};
}

FrameReader::Item FrameReader::next_data_part() {
  if (input_.empty()) return NeedMore{};
  std::size_t size = std::min<std::size_t>(input_.size(), data_left_);
  DataPart part{input_.first(size)};
  input_ = input_.subspan(size);
  data_left_ -= static_cast<std::uint32_t>(size);
  return part;
}

// Moves input to `held_` until it has `size` bytes; false when the input ran out before.
bool FrameReader::fill_held(std::size_t size) {
  if (held_.size() >= size) return true;
  std::size_t take = std::min(size - held_.size(), input_.size());
  held_.insert(held_.end(), input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(take));
  input_ = input_.subspan(take);
  return held_.size() == size;
}

bool FrameReader::fin_follows(StreamId id) const {
  constexpr std::size_t kWhole = kFrameHeaderSize + kFinPayloadSize;
  if (data_left_ != 0 || !held_.empty() || input_.size() < kWhole) return false;
  auto word = load_big_endian<std::uint32_t>(input_.data());
  return word == (static_cast<std::uint32_t>(FrameType::fin) << 24 | kFinPayloadSize) &&
         load_big_endian<std::uint64_t>(input_.data() + kFrameHeaderSize) == id.value;
}

bool FrameReader::starts_like_hello() const {
  Bytes held = held_handed_out_ ? Bytes{} : Bytes(held_);
  if (!held.empty() && held[0] != static_cast<std::uint8_t>(FrameType::hello)) return false;
  std::uint8_t magic[sizeof kMagic];
  store_big_endian(magic, kMagic);
  for (std::size_t i = 0; i < sizeof magic && kFrameHeaderSize + i < held.size(); ++i) {
    if (held[kFrameHeaderSize + i] != magic[i]) return false;
  }
  return true;
}

FrameReader::Item FrameReader::next() {
  if (held_handed_out_) {
    held_.clear();
    held_handed_out_ = false;
  }
  while (true) {
    if (data_left_ != 0) return next_data_part();
    bool from_input = held_.empty() && input_.size() >= kFrameHeaderSize;
    if (!from_input && !fill_held(kFrameHeaderSize)) return NeedMore{};
    std::size_t whole_size = 0;
    Item judged = parse_header(from_input ? input_.data() : held_.data(), whole_size);
    if (std::holds_alternative<Malformed>(judged)) return judged;
    Item item;
    if (from_input && input_.size() >= whole_size) {
      Bytes frame = input_.first(whole_size);
      input_ = input_.subspan(whole_size);
      item = take_whole(frame);
    } else {
      if (!fill_held(whole_size)) return NeedMore{};
      item = take_whole(held_);
      held_handed_out_ = true;
    }
    auto* control = std::get_if<ControlFrame>(&item);
    bool skip = control != nullptr && !known(control->type);
    if (!skip) return item;
    if (held_handed_out_) {
      held_.clear();
      held_handed_out_ = false;
    }
  }
}

}  // namespace holdfast
