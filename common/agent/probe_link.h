// ProbeLink: a link of its own for `doctor`, spoken step by step, that no other link notices.
//
// It comes from a process of its own (start id) and in a slot of its own, drawn at random, so that
// the server sees one more link of this client (it counts among [clients.NAME] links) and displaces
// none; it ends with GOODBYE. All calls wait, each for a time at most; none is for an agent's loop.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "common/base/result.h"
#include "common/io/socket.h"
#include "common/tls/tls.h"
#include "common/wire/frame_reader.h"
#include "common/wire/frames.h"

namespace holdfast {

class ProbeLink {
 public:
  using Clock = std::chrono::steady_clock;

  // The socket is connected and does not block. Without a context the link is plaintext.
  ProbeLink(Descriptor connected, TlsContext* context);
  ~ProbeLink();  // says goodbye, where there is somebody to say it to

  Status handshake(std::chrono::milliseconds patience);
  // HELLO and an empty table, to WELCOME and the server's whole table.
  Result<Welcome> greet(const std::string& name, std::chrono::milliseconds patience);
  // A question and its answer. `large`: behind a frame of 16 KiB, which every peer skips, so that
  // the answer shows that packets of full size arrive there.
  enum class PingSize : std::uint8_t { small, large };
  Status ping(PingSize size, std::chrono::milliseconds patience);
  // Asks for the service; none: it is granted, and its target has answered. Then resets it.
  Result<Cause> open(const std::string& service, std::chrono::milliseconds patience);
  const std::string& identity() const { return identity_; }

 private:
  struct Frame {
    FrameType type{};
    Buffer payload;
  };

  Status send(const Buffer& bytes, Clock::time_point until);
  Result<Frame> receive(Clock::time_point until);
  Status read_more(Clock::time_point until);
  enum class WaitFor : std::uint8_t { input, room };
  bool wait(WaitFor what, Clock::time_point until);
  Error broken(const char* when) const;

  Descriptor socket_;
  std::unique_ptr<Transport> transport_;
  FrameReader reader_;
  Buffer held_;  // what the reader's views are of
  std::deque<Frame> frames_;
  std::string identity_;
  std::uint64_t next_stream_ = 1;
  std::uint64_t last_ping_ = 0;
  bool greeted_ = false;
};

}  // namespace holdfast
