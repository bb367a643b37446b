// LinkRecord: what a link is, of fixed size and without pointers, beside its streams' records.
//
// Single words that change with carriers and streams are stored in place. What is agreed with the
// peer, or never changes, is a few facts together (LinkFacts): they are kept twice, written in
// turn, each with a number and a checksum, so that one that was torn falls back to the one before.
// All of it that is in use lies close together, so that most links touch one page.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/ids.h"
#include "common/base/time.h"

namespace holdfast {

using LinkIndex = std::uint32_t;
inline constexpr LinkIndex kNoLink = 0;  // a record's index is its place and one

// A link's service, as both ends know it. Streams' records name it by its place in the list.
struct ServiceFact {
  std::string name;
  Duration grace{};
  bool by_destination = false;
  bool operator==(const ServiceFact&) const = default;
};

struct LinkFacts {
  LinkId id;
  std::uint64_t instance = 0;
  std::uint64_t attempt = 0;   // of a client's HELLOs, when these facts were written
  std::uint64_t ordinal = 0;   // client
  std::uint64_t start_id = 0;  // the client process's
  std::uint32_t slot = 0;      // the client's
  std::string client;
  std::string server;        // client: bound by the first WELCOME
  std::string home_name;     // client: where that is found again
  std::string home_address;  // likewise
  Duration grace{};
  Duration heartbeat{};
  Duration dead_after{};
  std::uint64_t initial_credit = 0;
  std::uint32_t peer_max_streams = UINT32_MAX;
  std::vector<ServiceFact> services;
  bool operator==(const LinkFacts&) const = default;
};

struct LinkRecord {
  // Some 500 services; a link with more does not outlive its process.
  static constexpr std::size_t kFactsSize = 16 * 1024;
  // Whole pages of most hosts, so that a record in a region begins with one.
  static constexpr std::size_t kSize = 13 * 4096;
  static constexpr std::size_t kHeadSize = 80;  // all but `bytes`
  static_assert(kSize - kHeadSize >= 3 * kFactsSize);
  struct Copy {
    std::uint64_t number = 0;  // of the two the higher one counts; 0: none
    std::uint32_t at = 0;      // in `bytes`
    std::uint32_t size = 0;
    std::uint32_t checksum = 0;  // of its bytes
    std::uint32_t unused = 0;
  };
  enum class Life : std::uint32_t { none, lives, over };

  Life life = Life::none;  // `lives` is stored last
  bool draining = false;
  std::uint64_t attempt = 0;  // client: of the last HELLO sent; server: of the last one accepted
  StreamId highest;           // client: last assigned; server: highest seen
  Time detached_since{};
  Copy facts[2];
  // A copy begins where the other one is not: with room for one, wherever the other one lies.
  std::array<std::uint8_t, kSize - kHeadSize> bytes;

  void clear();
  // False: they have no room, and this is no link's record any more.
  bool write(const LinkFacts& facts);
  // The newest that is whole.
  std::optional<LinkFacts> read() const;

 private:
  // The copy's bytes; nothing where it is not whole.
  std::optional<Bytes> whole(const Copy& copy) const;
};
static_assert(std::is_trivially_copyable_v<LinkRecord>);
static_assert(sizeof(LinkRecord) == LinkRecord::kSize);

}  // namespace holdfast
