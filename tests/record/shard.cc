#include "tests/record/shard.h"

#include <zstd.h>

#include <cstdio>
#include <fstream>
#include <iterator>

namespace holdfast::record {
namespace {

constexpr std::string_view kMagic = "holdfast-record-1\n";
constexpr std::uint64_t kMostSeeds = 100000;
// What a file of a few megabytes may become at most.
constexpr unsigned long long kMostBytes = 2048ULL * kMiB;

using Blob = std::vector<std::uint8_t>;

void put(Blob& to, std::uint64_t value) {
  while (value >= 0x80) {
    to.push_back(static_cast<std::uint8_t>(value | 0x80U));
    value >>= 7U;
  }
  to.push_back(static_cast<std::uint8_t>(value));
}

struct Reader {
  const Blob& from;
  std::size_t at = 0;
  bool ended = false;

  std::uint64_t number() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (at == from.size()) {
        ended = true;
        return 0;
      }
      std::uint8_t byte = from[at++];
      value |= static_cast<std::uint64_t>(byte & 0x7fU) << shift;
      if ((byte & 0x80U) == 0) break;
    }
    return value;
  }
  void take(Blob& to, std::uint64_t size) {
    if (ended || size > from.size() - at) {
      ended = true;
      return;
    }
    auto begin = from.begin() + static_cast<std::ptrdiff_t>(at);
    to.assign(begin, begin + static_cast<std::ptrdiff_t>(size));
    at += size;
  }
};

}  // namespace

Status save_shard(const std::string& path, const Shard& shard, int level) {
  Blob plain;
  put(plain, shard.size());
  for (const auto& seed : shard) put(plain, seed->seed);
  for (const auto& seed : shard) put(plain, seed->steps);
  for (std::size_t column = 0; column < kColumns; ++column) {
    for (const auto& seed : shard) put(plain, seed->columns[column].size());
    for (const auto& seed : shard) {
      const Blob& bytes = seed->columns[column];
      plain.insert(plain.end(), bytes.begin(), bytes.end());
    }
  }
  Blob packed(ZSTD_compressBound(plain.size()));
  std::size_t size = ZSTD_compress(packed.data(), packed.size(), plain.data(), plain.size(), level);
  if (ZSTD_isError(size) != 0) return Error{path + ": " + ZSTD_getErrorName(size)};
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << kMagic;
  file.write(reinterpret_cast<const char*>(packed.data()), static_cast<std::streamsize>(size));
  file.close();
  if (!file) return Error{path + ": cannot be written"};
  return Ok{};
}

Result<Shard> load_shard(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Error{path + ": cannot be read"};
  std::vector<char> packed{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (packed.size() < kMagic.size() || std::string_view(packed.data(), kMagic.size()) != kMagic) {
    return Error{path + ": is no record of this format"};
  }
  const char* begin = packed.data() + kMagic.size();
  std::size_t left = packed.size() - kMagic.size();
  unsigned long long whole = ZSTD_getFrameContentSize(begin, left);
  if (whole > kMostBytes) return Error{path + ": is damaged"};
  Blob plain(whole);
  std::size_t size = ZSTD_decompress(plain.data(), plain.size(), begin, left);
  if (ZSTD_isError(size) != 0) return Error{path + ": " + ZSTD_getErrorName(size)};
  Reader reader{plain};
  std::uint64_t seeds = reader.number();
  if (seeds > kMostSeeds) return Error{path + ": is damaged"};
  Shard shard(seeds);
  for (auto& seed : shard) seed = std::make_unique<SeedRecord>();
  for (auto& seed : shard) seed->seed = reader.number();
  for (auto& seed : shard) seed->steps = reader.number();
  std::vector<std::uint64_t> sizes(seeds);
  for (std::size_t column = 0; column < kColumns; ++column) {
    // A record from before there was this call.
    if (column > kCheckColumn && column % kPlaces == 0 && reader.at == plain.size()) break;
    for (std::uint64_t& each : sizes) each = reader.number();
    for (std::size_t i = 0; i < seeds; ++i) reader.take(shard[i]->columns[column], sizes[i]);
  }
  if (reader.ended) return Error{path + ": is cut short"};
  return shard;
}

}  // namespace holdfast::record
