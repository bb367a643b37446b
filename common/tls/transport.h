// Transport: how bytes travel on one carrier's socket: plain now, TLS beside it.
//
//   handshake() until done --> standing: read(), write() --> shut_down()
//
// All calls are non-blocking. `again` means: wait for what wants() says, then call the same again.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "common/base/bytes.h"

namespace holdfast {

class Transport {
 public:
  enum class Status : std::uint8_t {
    done,
    again,
    end,     // the other side ended the sending of bytes (read only)
    reset,   // the socket failed
    failed,  // the peer broke the transport's own protocol, or proved the wrong identity
  };
  struct Outcome {
    Status status = Status::done;
    std::size_t bytes = 0;  // with done: at least 1
  };
  // Events beyond the carrier's own interest, as for Poller.
  struct Wants {
    bool read = false;   // a write waits for bytes from the peer
    bool write = false;  // a read, or the handshake, waits for room
  };

  // How often the keys have changed.
  struct KeyUpdates {
    std::uint64_t sent = 0;
    std::uint64_t received = 0;
  };

  virtual ~Transport() = default;

  virtual Status handshake() = 0;
  virtual Outcome read(MutableBytes buffer) = 0;
  // May take a part. After `again` the same bytes must come first in the next call.
  virtual Outcome write(std::span<const iovec> buffers) = 0;
  // Says that nothing more will be written; the peer reads an orderly end.
  virtual void shut_down() = 0;
  virtual Wants wants() const = 0;
  // Bytes are waiting that no poller sees; also after `again`, when a read had done its share.
  virtual bool buffered() const = 0;
  // Whom the handshake proved the peer to be; nothing where it proves nothing.
  virtual std::optional<std::string> identity() const = 0;
  // While the handshake runs, whom the peer has shown to be by proof that only a replay of their
  // own first message could fake; the handshake's end then settles it. Nothing where nothing is
  // shown.
  virtual std::optional<std::string> shown() const { return identity(); }
  // Server, after a handshake that failed: the peer never claimed to be anybody, as checks do not.
  virtual bool claimed_nothing() const { return false; }
  // The peer's first message was good and has been answered.
  virtual bool answered() const { return false; }
  // Bytes that write() took and the socket has not.
  virtual std::size_t unsent() const { return 0; }
  virtual KeyUpdates key_updates() const { return {}; }
  // Keeps what memory each record needs (true), or gives it back after each (at first): a session
  // that is in use should not ask for it anew each time, one at rest should have none.
  virtual void keep_memory(bool) {}
  // After reset or failed, an end within the handshake, or a handshake that proved nobody whom we
  // know: why, for people.
  virtual std::string error() const = 0;
};

// Makes the transport of one socket; the descriptor outlives it.
using TransportFactory = std::function<std::unique_ptr<Transport>(int descriptor)>;

std::unique_ptr<Transport> make_plain_transport(int descriptor);

}  // namespace holdfast
