// Lane: two live links in memory with nothing between them but a buffer: bytes in to bytes out.
//
// Time stands still unless a case moves it. Applications take whatever is delivered at once.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "common/core/link_registry.h"
#include "common/core/pump.h"

namespace holdfast::micro {

class Lane {
 public:
  explicit Lane(std::uint32_t streams);

  // Opens a stream; returns its number here.
  std::size_t open();
  // The client's application ends it and the service, too: it is gone at both ends.
  void close(std::size_t stream);
  // The application writes `size` bytes; they wait in the send log.
  void write(std::size_t stream, std::size_t size);
  // Carries bytes both ways until nothing moves.
  void settle();
  // Acks that are owed are due.
  void let_acks_go();
  // Bytes that have been delivered to services in all.
  std::uint64_t delivered() const { return server_.delivered; }

 private:
  // A turn has no limit, but that it writes one gather at most.
  struct End final : Pump::Port {
    End(Lane& owner, std::uint64_t memory, std::uint32_t most) : lane(owner), pool(memory, most) {}
    void drive(Link& driven);
    void wants_turn() override {}
    void perform(const Effect& effect) override;
    void connect(StreamHandle stream) override { link->opened(lane.now_, stream); }
    bool read_once(CarrierId) override { return false; }
    bool writable(CarrierId) const override { return true; }
    std::size_t write(CarrierId carrier, std::span<const iovec> buffers) override;
    void finish(CarrierId) override {}

    Lane& lane;
    MemoryPool pool;
    Link* link = nullptr;
    std::optional<Pump> pump;
    std::uint64_t delivered = 0;
    std::vector<StreamHandle> streams;
  };

  // The bytes of a turn.
  Bytes turn(End& end);
  bool carry(End& from, End& to);
  void greet();

  static constexpr CarrierId kCarrier{1};
  Time now_{seconds(1)};
  End client_;
  End server_;
  LinkRegistry registry_;
  std::unique_ptr<Link> client_link_;
  std::vector<std::uint8_t> wire_;
  std::size_t written_ = 0;  // to it
  std::vector<std::uint8_t> payload_;
};

}  // namespace holdfast::micro
