// Lane: two live links in memory with nothing between them but a buffer: bytes in to bytes out.
//
// Time stands still unless a case moves it. Applications take whatever is delivered at once.
#pragma once

#include <memory>
#include <vector>

#include "common/core/link.h"
#include "common/core/link_registry.h"

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
  struct End {
    End(std::uint64_t memory, std::uint32_t most) : pool(memory, most) {}
    MemoryPool pool;
    Link* link = nullptr;
    std::uint64_t delivered = 0;
    std::vector<StreamHandle> streams;
  };

  void drain(End& end);
  bool carry(End& from, End& to);
  void greet();

  static constexpr CarrierId kCarrier{1};
  Time now_{seconds(1)};
  End client_;
  End server_;
  LinkRegistry registry_;
  std::unique_ptr<Link> client_link_;
  std::vector<std::uint8_t> wire_;
  std::vector<std::uint8_t> payload_;
};

}  // namespace holdfast::micro
