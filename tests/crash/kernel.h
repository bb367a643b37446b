// What outlives a process: its applications' sockets, and the carriers' bytes that were written.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <deque>
#include <span>
#include <stdexcept>
#include <string>

#include "common/base/bytes.h"
#include "common/base/ids.h"
#include "common/base/random.h"

namespace holdfast::crash {

class Failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

inline void require(bool condition, const std::string& what) {
  if (!condition) throw Failure(what);
}

// The byte at `offset` of what one end of a conversation says.
inline std::uint8_t pattern(std::uint64_t key, std::uint64_t offset) {
  return static_cast<std::uint8_t>(Random(key * 1000003 + offset).next());
}

// An application, as its socket's kernel sees it. What it says is a function of the offset.
struct Application {
  std::uint64_t key = 0;       // of what it says,
  std::uint64_t peer_key = 0;  // and of what it hears
  std::uint64_t total = 0;     // bytes that it will say
  bool resets = false;         // then, instead of closing
  bool answers = false;        // its end follows the other's

  std::uint64_t said = 0;
  bool said_end = false;
  bool said_reset = false;
  std::uint64_t heard = 0;  // by its kernel
  std::uint64_t taken = 0;  // by itself
  bool heard_end = false;
  bool heard_reset = false;
  // All the other end has said, once it has said its end.
  const Application* other = nullptr;
  std::uint64_t read_of_it = 0;  // by agents
  bool end_read = false;
};

// The agent's end of a connection.
class Socket {
 public:
  static constexpr std::uint64_t kBuffer = 3000;  // of the kernel, towards the application

  enum class Read : std::uint8_t { bytes, nothing, end, error };

  Socket(int descriptor, std::uint32_t conversation, Application& application)
      : descriptor_(descriptor), conversation_(conversation), application_(application) {}

  int descriptor() const { return descriptor_; }
  std::uint32_t conversation() const { return conversation_; }
  bool open() const { return open_; }
  // Nothing was read or written, and it is not over: as good as just accepted.
  // Its other end has ended it.
  bool fin_came() const { return application_.said_end; }
  bool lingers() const { return lingers_; }
  bool fresh() const { return read_ == 0 && written_ == 0 && !end_out_ && !broken(); }
  std::uint64_t position_read() const { return read_; }
  std::uint64_t position_written() const { return written_; }
  // The connection is over for the kernel: the application's reset came.
  bool broken() const { return application_.said_reset; }

  Read read(std::span<const iovec> buffers, std::size_t& size) {
    size = 0;
    for (const iovec& buffer : buffers) {
      auto* to = static_cast<std::uint8_t*>(buffer.iov_base);
      for (std::size_t i = 0; i < buffer.iov_len && read_ < application_.said; ++i) {
        to[i] = pattern(application_.key, read_++);
        size += 1;
      }
    }
    application_.read_of_it = read_;
    if (size != 0) return Read::bytes;
    if (application_.said_reset && !error_told_) {
      error_told_ = true;
      return Read::error;
    }
    // A kernel that has told of an error says that all is over from then on.
    if (application_.said_end || error_told_) {
      application_.end_read = application_.end_read || application_.said_end;
      return Read::end;
    }
    return Read::nothing;
  }

  std::size_t write(Bytes bytes) {
    if (application_.said_reset) return bytes.size();  // to nobody
    auto room = static_cast<std::size_t>(kBuffer - (application_.heard - application_.taken));
    bytes = bytes.first(std::min(bytes.size(), room));
    require(!end_out_ || bytes.empty(), name() + "bytes after the end");
    for (std::uint8_t byte : bytes) {
      if (byte != pattern(application_.peer_key, application_.heard)) {
        throw Failure(name() + "a wrong byte at " + std::to_string(application_.heard));
      }
      application_.heard += 1;
    }
    require(application_.heard <= application_.other->read_of_it, name() + "bytes of nobody");
    written_ += bytes.size();
    return bytes.size();
  }

  void shut_down() {
    if (end_out_ || application_.said_reset) return;
    const Application& other = *application_.other;
    require(other.end_read && application_.heard == other.said,
            name() + "a clean end over lost bytes: " + std::to_string(application_.heard) + " of " +
                std::to_string(other.said));
    end_out_ = true;
    application_.heard_end = true;
  }

  // As SO_ERROR: told once, whoever asks.
  void take_error() { error_told_ = true; }
  void clear_linger() { lingers_ = false; }
  // As close(2): with bytes lost or not, by how linger stands.
  void close() {
    if (!open_) return;
    open_ = false;
    bool reset = lingers_ || read_ < application_.said;
    if (application_.said_reset) return;
    if (reset && !(end_out_ && application_.end_read && read_ == application_.said)) {
      application_.heard_reset = true;
      return;
    }
    shut_down();
  }

 private:
  std::string name() const { return "conversation " + std::to_string(conversation_) + ": "; }

  int descriptor_;
  std::uint32_t conversation_;
  Application& application_;
  std::uint64_t read_ = 0;
  std::uint64_t written_ = 0;
  bool end_out_ = false;
  bool error_told_ = false;
  bool lingers_ = true;
  bool open_ = true;
};

// A carrier between both processes. Side 0 is the client's.
struct Wire {
  CarrierId id;
  std::deque<std::uint8_t> to[2];  // side
  bool held[2] = {true, false};    // by that side's process
  bool ends[2] = {false, false};   // what is under way to that side is all
};

}  // namespace holdfast::crash
