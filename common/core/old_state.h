// OldState: what a process left behind in its StateRegion, read where it lies and never written.
// Its bytes are believed as little as a peer's: every number is checked before it is used.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/core/state_region.h"

namespace holdfast {

class OldState {
 public:
  struct Stream {
    SlotIndex slot = kNoSlot;
    const StreamRecord* record = nullptr;
  };
  struct Link {
    LinkIndex index = kNoLink;
    const LinkRecord* record = nullptr;
    LinkFacts facts;
    std::vector<Stream> streams;  // in order of id
  };

  // Fails for what is not a region of this build's format. `bytes` outlive the state.
  static Result<OldState> read(std::span<const std::byte> bytes);

  const std::vector<Link>& links() const { return links_; }
  // Sockets of streams that were over, or whose link left nothing to go on from: to be reset.
  const std::vector<int>& leftovers() const { return leftovers_; }
  // What was under way for the stream.
  Intent::Operation under_way(LinkIndex link, SlotIndex slot) const {
    return header_->intent.names(link, slot) ? header_->intent.operation : Intent::Operation::none;
  }
  // A socket was about to be closed.
  bool closes() const { return header_->intent.operation == Intent::Operation::close; }
  // A stream's bytes [from, to), out of the chain of blocks at `head`, a piece at a time. False:
  // some are not there.
  bool walk(BlockIndex head, std::uint64_t stream, std::uint64_t former, std::uint64_t from,
            std::uint64_t to, const std::function<void(Bytes)>& visit) const;

 private:
  OldState() = default;
  void find_links();
  void find_streams();

  const RegionHeader* header_ = nullptr;
  std::span<const LinkRecord> records_;
  std::span<const RecordChunk> chunks_;
  std::span<const BlockInfo> infos_;
  const std::uint8_t* blocks_ = nullptr;
  std::vector<Link> links_;
  std::vector<int> leftovers_;
};

}  // namespace holdfast
