// HelloReader: what a server reads from a carrier before it knows whose it is.
//
// Takes bytes until HELLO and its whole table are there, or until something shows that this is no
// client of ours. Holds at most one frame and `max_streams` table entries; the first four bytes
// after the header already tell a stray peer.
#pragma once

#include <string>
#include <vector>

#include "common/wire/frame_reader.h"

namespace holdfast {

struct HelloRequest {
  Hello hello;
  StreamId highest;
  std::vector<TableEntry> table;  // ids strictly rising
};

class HelloReader {
 public:
  enum class State : std::uint8_t { incomplete, complete, failed };

  explicit HelloReader(std::uint32_t max_streams) : max_streams_(max_streams) {}

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

  std::uint32_t max_streams_;
  State state_ = State::incomplete;
  bool greeted_ = false;
  std::size_t before_hello_ = 0;  // bytes fed until HELLO was whole
  FrameReader reader_;
  HelloRequest request_;
  std::string reason_;
};

// Appends `chunk` to `table`, holding it to strictly rising ids and at most `most` entries.
// Gives the reason if it does not, or "".
std::string add_table_entries(std::vector<TableEntry>& table, const TableChunk& chunk,
                              std::uint32_t most);

}  // namespace holdfast
