// HelloReader: what a server reads from a carrier before it knows whose it is.
//
// Takes bytes until HELLO and its whole table are there, or until something shows that this is no
// client of ours. Holds at most one frame and `most_kept` table entries; what a longer table has is
// read and not kept, so that its client is answered rather than refused for ever; more than
// kMostTableEntries are a failure. The first four bytes after the header already tell a stray peer.
#pragma once

#include <string>
#include <vector>

#include "common/wire/frame_reader.h"

namespace holdfast {

struct HelloRequest {
  Hello hello;
  StreamId highest;
  std::vector<TableEntry> table;  // ids strictly rising
  bool cut_short = false;         // the client's table is longer than this one
};

class HelloReader {
 public:
  enum class State : std::uint8_t { incomplete, complete, failed };

  explicit HelloReader(std::uint32_t most_kept) : most_kept_(most_kept) {}

  // Reads on; after `complete` or `failed` there is nothing more to feed. Bytes behind the table
  // are a failure: a client says nothing more before WELCOME.
  State feed(Bytes bytes);
  State state() const { return state_; }
  // Meaningful once complete; may be moved out.
  HelloRequest& request() { return request_; }
  // Why it failed, for people.
  const std::string& reason() const { return reason_; }

 private:
  void take(const FrameReader::ControlFrame& frame);
  void take_table(Bytes payload);
  void fail(std::string reason);

  std::uint32_t most_kept_;
  State state_ = State::incomplete;
  bool greeted_ = false;
  std::size_t before_hello_ = 0;  // bytes fed until HELLO was whole
  FrameReader reader_;
  HelloRequest request_;
  StreamId last_listed_;
  std::uint32_t listed_ = 0;  // entries, kept or not
  std::string reason_;
};

}  // namespace holdfast
