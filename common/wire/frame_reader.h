// FrameReader: cuts one carrier's byte stream into frames, however it was chunked.
//
// Control frames come out whole; a frame that lies whole in the input is not copied. DATA comes
// out as its header and then as the pieces in which its bytes arrive, so that payload is never
// held back or copied here. What is held is at most one control frame (16 KiB).
//
//   reader.feed(bytes);
//   while (true) visit(reader.next());   // until NeedMore or Malformed
//
// Views handed out are valid until the next call of next() or feed().
#pragma once

#include <variant>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/wire/frames.h"

namespace holdfast {

class FrameReader {
 public:
  struct NeedMore {};
  struct ControlFrame {
    FrameType type{};
    Bytes payload;
  };
  struct DataPart {
    Bytes bytes;  // never empty
  };
  struct Malformed {
    Error error;
  };
  using Item = std::variant<NeedMore, ControlFrame, DataHeader, DataPart, Malformed>;

  // The bytes must stay valid until next() has returned NeedMore (or the reader is dropped), and
  // all of the last feed must have been taken.
  void feed(Bytes bytes);
  Item next();

  // Bytes fed and not yet handed out (those held for a frame that is not whole yet left out).
  std::size_t unread() const { return input_.size(); }
  // True inside a frame: an end of the carrier here is a truncation.
  bool inside_frame() const { return (!held_.empty() && !held_handed_out_) || data_left_ != 0; }
  // The next frame is the stream's FIN, and whole: what it follows need not be sent apart from it.
  bool fin_follows(StreamId id) const;
  // False as soon as the bytes held of a frame not yet whole cannot begin a HELLO.
  bool starts_like_hello() const;

 private:
  Item parse_header(const std::uint8_t* frame, std::size_t& whole_size) const;
  Item take_whole(Bytes frame);
  Item next_data_part();
  bool fill_held(std::size_t size);

  Bytes input_;
  Buffer held_;  // the beginning of a frame that did not arrive whole
  bool held_handed_out_ = false;
  std::uint32_t data_left_ = 0;  // application bytes of the current DATA still to come
};

}  // namespace holdfast
