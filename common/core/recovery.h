// Recovery: what a process makes of an OldState (PROTOCOL.md says what its peers may see of that).
//
//   OldState::read() -> Link::recover() of each of its links -> the driver does what Recovered says
//
// A death is a lost carrier and a loss of memory. Since an ack means delivered, what was received
// and not delivered is the peer's to send again: it is forgotten. Everything is copied into another
// region, and nothing of the old one is changed, nor any socket touched: until who recovers has
// said that the new region counts, a further death begins with the same state again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/core/old_state.h"
#include "common/core/stream_record.h"

namespace holdfast {

// How many bytes of the stream its application's kernel has given and taken.
struct SocketPosition {
  // Whether something connects it still. What it has not given yet it does give.
  enum class Life : std::uint8_t { stands, reset, reset_after_fin };

  std::uint64_t read = 0;
  std::optional<std::uint64_t> written;  // nothing: this kind of socket does not say
  Life life = Life::stands;
};

class SocketJudge {
 public:
  // Nothing: there is no such socket, or it cannot be told. `under_way`: of this socket, when the
  // process died.
  virtual std::optional<SocketPosition> look(const StreamRecord& record,
                                             Intent::Operation under_way) = 0;

 protected:
  ~SocketJudge() = default;
};

struct RecoveredStream {
  // What is to become of its application's socket.
  enum class Socket : std::uint8_t {
    goes_on,           // read, unless its end was read; written to as bytes come
    shuts_down,        // the same, but that the peer's end is to be said (again)
    aborts,            // its kernel told of an error: read what is left, then abort()
    aborts_after_fin,  // the same, but that its end comes before that
    closes,            // both ends are over, in order
    resets,
    connects,  // there is none yet: ConnectTarget comes
    none,      // it is closed
  };
  StreamHandle stream;
  int descriptor = -1;
  std::uint64_t read_before = 0;  // of it, as in SocketFacts
  std::uint64_t written_before = 0;
  std::uint64_t read = 0;  // of the stream
  Socket socket = Socket::none;
  bool end_read = false;  // of its application
};

struct Recovered {
  struct Lost {
    int descriptor = -1;  // to be reset
    std::string reason;   // for people
    std::uint16_t service = 0;
    Endpoint source{};
  };
  std::vector<RecoveredStream> streams;
  std::vector<Lost> lost;       // streams that contradict themselves or their socket
  std::vector<int> over;        // sockets of streams that nobody heard of and that were just reset
  std::uint32_t corrected = 0;  // positions that the kernel knew better
};

}  // namespace holdfast
