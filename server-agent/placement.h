// Placement: what the loops of a server agent have in common: which loop a client's link is on,
// how many links each client has, how many connections there are, which carriers are to come back,
// which processes are gone, where known clients are, and where the agent listens. Touched when
// links and connections come and go, never for a byte. Any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/core/link_registry.h"
#include "common/io/socket.h"
#include "common/tunnel/shared_streams.h"
#include "server-agent/shared_client.h"

namespace holdfast {

class Placement final : public LinkQuota {
 public:
  // A client's link of one slot, and everything that may become one, is on one loop: that loop's
  // registry decides between an old link and its successor.
  using Key = std::pair<std::string, std::uint32_t>;
  class Claim {
   public:
    Claim(Placement& placement, Key key, std::size_t loop)
        : placement_(&placement), key_(std::move(key)), loop_(loop) {}
    Claim(Claim&& other) noexcept
        : placement_(std::exchange(other.placement_, nullptr)),
          key_(std::move(other.key_)),
          loop_(other.loop_) {}
    Claim& operator=(Claim&&) = delete;
    ~Claim() {
      if (placement_ != nullptr) placement_->leave(key_);
    }
    std::size_t loop() const { return loop_; }
    const std::string& client() const { return key_.first; }

   private:
    Placement* placement_;
    Key key_;
    std::size_t loop_;
  };

  Placement(std::size_t loops, std::uint32_t connections)
      : streams_(connections), links_on_(loops) {}

  SharedStreams& streams() { return streams_; }
  // Links without a carrier: each will want a descriptor.
  std::atomic<int>& awaited() { return awaited_; }

  // A process of a client is gone, as its link of one slot has shown
  // (LinkRegistry::process_gone()). Every loop that has called hear_of_gone() is told.
  using ToldGone = std::function<void(const std::string& client, std::uint64_t start_id)>;
  void hear_of_gone(ToldGone told);
  void tell_gone(const std::string& client, std::uint64_t start_id) const;

  // The loop where others of the key are; else where the client has the fewest, then where the
  // fewest are, then the last: the first one also listens and greets. It stays so while any Place
  // of the key lives.
  Claim claim(const std::string& client, std::uint32_t slot);

  bool take(const std::string& client, std::uint32_t slot, std::uint32_t most) override;
  void give_back(const std::string& client, std::uint32_t slot) override;
  ClientShare* share(const std::string& client) override;

  // Where a link's newest carrier came from (source_of()).
  void note_source(const LinkId& link, std::string source);
  void forget(const LinkId& link);
  bool known_at(std::string_view source) const;

  void set_listening(std::vector<SocketAddress> addresses);
  std::vector<SocketAddress> listening() const;

 private:
  SharedStreams streams_;
  std::atomic<int> awaited_{0};

  struct Entry {
    std::size_t loop = 0;
    std::size_t places = 0;
  };
  void leave(const Key& key);
  void leave_source(const std::string& source);

  mutable std::mutex mutex_;
  std::map<Key, Entry> entries_;
  std::vector<std::size_t> links_on_;  // keys, by loop
  // Links by client and what its lanes' slots have in common.
  std::map<std::string, std::map<std::uint32_t, std::uint32_t>> quota_;
  std::map<std::string, SharedClient> shares_;  // none goes: those of a config are few
  std::map<LinkId, std::string> sources_;
  std::map<std::string, std::size_t, std::less<>> links_at_;  // by source
  std::vector<ToldGone> told_gone_;                           // set before the threads run
  std::vector<SocketAddress> listening_;
};

}  // namespace holdfast
