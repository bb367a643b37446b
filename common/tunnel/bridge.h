// Bridge: one application's socket (accepted, or connected to a backend) and its stream.
//
// Bytes are read straight into the stream's log and written straight from the carrier's buffer or
// the stream's queue. How a socket ends, each way:
//
//   reading   running <--> paused, running --> ended (EOF read)
//             any of them --an error--> draining (what the kernel still holds is read) --> told
//   writing   open <--> blocked --> shut (FIN told)
//   life      attached --both ended--> closed in order
//             attached --peer's ABORT--> flushing --kernel has sent all, or no progress--> reset
//             anything --> reset at once
//
// The first socket error is latched, for the kernel forgets it once told: after it an EOF is no
// FIN. EPIPE is a reset that came after the application's own FIN: FIN, then ABORT. Any other
// error is an ABORT.
#pragma once

#include <cstdint>
#include <memory>

#include "common/core/link.h"
#include "common/io/loop.h"
#include "common/io/socket.h"

namespace holdfast {

// An application's or a backend's socket, and how much was read and written before the stream's
// first byte.
struct ApplicationSocket {
  Descriptor descriptor;
  bool is_unix = false;
  std::uint64_t read_before = 0;
  std::uint64_t written_before = 0;
};

class Bridge final : public Poller::Watcher {
 public:
  class Owner {
   public:
    // Something was said to the link: its effects and its carrier want attention.
    virtual void link_touched() = 0;
    // Bytes that one stream may read in one turn: less when several are active.
    virtual std::size_t read_budget() = 0;
    virtual void stream_read() = 0;

   protected:
    ~Owner() = default;
  };

  // The socket is connected and tuned (tune_application_socket); the link's record names it from
  // now on.
  Bridge(Loop& loop, Link& link, Owner& owner, StreamHandle stream, ApplicationSocket socket);
  ~Bridge();

  // It is this stream of another link on the same loop from now on.
  void move(Link& link, Owner& owner, StreamHandle stream);
  // Begins: reads, and writes what is queued already.
  void start();
  // Instead of that: goes on with a stream whose process died.
  void go_on(const RecoveredStream& stream);

  // `last`: deliver_fin() follows at once if all of them are taken.
  void deliver(Bytes bytes, bool last);
  void deliver_fin();
  void deliver_abort();
  void resume_reading();
  // Takes what the application wrote, and its end, if they are here already: before the link's
  // goodbye, and at the beginning.
  void read_last();
  void read_first();
  // At once, whatever is queued.
  void reset();
  // Unless it is a Unix one: its host is asked so often that it is found gone within the time.
  void set_keepalive(Duration within);
  // Its host gives no sign: ends it, as the kernel does where it finds out.
  bool has_vanished(Duration within) const;
  void vanish();

  StreamHandle stream() const { return stream_; }
  bool closed() const { return !socket_.valid(); }

 private:
  enum class Input : std::uint8_t { running, paused, ended, reading_rest, told };
  enum class Writing : std::uint8_t { open, blocked, shut };
  enum class Until : std::uint8_t { short_read, nothing_left };
  // A reset that waits until the kernel has sent what it holds.
  struct Flush {
    Flush(TimerQueue& timers, std::function<void()> callback)
        : timer(timers, std::move(callback)) {}
    Timer timer;
    std::size_t unsent = 0;
    Time progress_at{};
    Duration interval{};
  };

  void on_ready(std::uint32_t events) override;
  void watch();
  void attach();
  void count_anew();
  ssize_t read_now(std::span<iovec> buffers);
  void read_some(std::size_t budget, Until until);
  void read_ended();
  void latch(int error);
  void discard_queued();
  void read_rest();
  void tell_error();
  void write_queued();
  std::size_t write_now(std::span<const iovec> buffers, More more = More::no);
  bool over() const;
  enum class Ending : std::uint8_t { in_order, by_reset };
  void close(Ending ending);
  void check_flush();

  Loop& loop_;
  Link* link_;
  Owner* owner_;
  StreamHandle stream_;
  Input input_ = Input::running;
  Writing writing_ = Writing::open;
  bool is_unix_;
  int error_ = 0;          // the first one
  std::size_t read_size_;  // of the next read
  Descriptor socket_;
  std::uint64_t read_before_;
  std::uint64_t written_before_;
  std::uint64_t counted_ = 0;  // of a Unix socket: since count_unix()
  Poller::Registration registration_;
  std::unique_ptr<Flush> flush_;
};

}  // namespace holdfast
