// Bytes that need not be kept: what a carrier brings is what some link transmitted before, and
// what applications send is mostly the simulator's pattern. What fits neither is kept as it is.
#pragma once

#include <sys/uio.h>

#include <map>
#include <optional>
#include <span>
#include <vector>

#include "tests/record/tape.h"

namespace holdfast::record {

// What links have transmitted, by carrier; a seed's.
class Wires {
 public:
  void transmitted(std::uint64_t object, CarrierId carrier, std::span<const iovec> buffers);
  // The bytes that a carrier brought: writes where they come from, or reads and finds them.
  void carrier_bytes(Tape& tape, std::uint64_t object, CarrierId carrier,
                     std::vector<std::uint8_t>& bytes);

 private:
  enum class Source : std::uint8_t { goes_on, elsewhere, literal };
  struct Wire {
    std::uint64_t object = 0;
    CarrierId carrier;
    std::vector<std::uint8_t> bytes;
  };
  struct Place {
    std::size_t wire = 0;
    std::size_t at = 0;
  };
  using Key = std::pair<std::uint64_t, CarrierId>;

  bool lies_at(const Place& place, Bytes bytes) const;
  std::optional<Place> find(std::uint64_t object, CarrierId carrier, Bytes bytes) const;

  std::vector<Wire> wires_;
  std::map<Key, std::size_t> by_sender_;
  std::map<Key, Place> next_;  // by who reads: where its next bytes probably lie
};

// What applications send, by stream; a seed's. A pattern's word i is that of a splitmix64 whose
// seed is `key` (tests/sim/conversation.h); any eight bytes tell the key.
class Payload {
 public:
  // `size` bytes lie in `buffers` (writing), or are put there (reading).
  void commit(Tape& tape, std::uint64_t object, StreamHandle stream, std::size_t size,
              std::span<const iovec> buffers);
  void forget(std::uint64_t object);

 private:
  enum class Source : std::uint8_t { pattern, new_pattern, literal };
  struct Stream {
    std::uint64_t offset = 0;
    std::optional<std::uint64_t> key;
  };
  std::map<std::pair<std::uint64_t, StreamId>, Stream> streams_;
};

}  // namespace holdfast::record
