// LinkRegistry: a server's links, and what a proven HELLO does to them.
//
// Creation is idempotent by instance; a live carrier is displaced only by the same authenticated
// client with the link's id and a higher attempt (PROTOCOL.md, rule 3). A new process of the same
// client on the same slot displaces the old link at once when that is detached, and otherwise
// only after the old carrier failed to answer a PING (a cloned configuration never kills live
// connections). The old process is gone then: its other links end likewise, each without a carrier
// at once, each with one when that does not answer.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "common/base/random.h"
#include "common/core/hello_reader.h"
#include "common/core/link.h"

namespace holdfast {

// What an authenticated client may have.
struct ClientPolicy {
  std::string name;
  std::vector<LinkService> services;  // what it may ask for, with their graces
  std::uint32_t max_links = 16;       // the lanes of one are one
  // Of all its links together.
  std::uint32_t max_streams = 10000;
  std::uint64_t memory_cap = UINT64_MAX;
};

struct RegistryOptions {
  std::string server_name;
  LinkOptions link;  // role, heartbeat, grace ...; services and limits come from the policy
};

// Counts links by client where several registries share one limit. The lanes of one, whose slots
// differ in their last bits only (kLanesOfALink), count as one together.
class LinkQuota {
 public:
  // False: the client has `most` others already, in all registries together.
  virtual bool take(const std::string& client, std::uint32_t slot, std::uint32_t most) = 0;
  virtual void give_back(const std::string& client, std::uint32_t slot) = 0;
  // What the client's links have together; outlives them.
  virtual ClientShare* share(const std::string&) { return nullptr; }

 protected:
  ~LinkQuota() = default;
};

class LinkRegistry {
 public:
  // The carrier is the link's now: WELCOME and table wait in its poll_transmit().
  struct Accepted {
    Link* link = nullptr;
    bool created = false;
  };
  // Send welcome_refused() (or welcome_unknown()) and close.
  struct Refused {
    Cause cause{};
    Duration retry_after{};
  };
  struct Unknown {
    Cause why =
        Cause::none;  // how the client's link ended here; none: not known any more, or never
  };
  // Close without a word: answering would make an old attempt look new.
  struct Stale {};
  // The link that stands in the way is being asked; keep the carrier and poll().
  struct Waiting {};
  using Decision = std::variant<Accepted, Refused, Unknown, Stale, Waiting>;

  // `pool` and `quota` must outlive the registry. `seed` draws the links' instances. Without a
  // quota the registry counts its own links.
  LinkRegistry(RegistryOptions options, MemoryPool& pool, std::uint64_t seed,
               LinkQuota* quota = nullptr);

  Decision hello(Time now, CarrierId carrier, const ClientPolicy& client, HelloRequest request);
  // Decisions that became due for carriers that wait.
  std::vector<std::pair<CarrierId, Decision>> poll(Time now);
  Time next_timeout() const;
  // A waiting carrier was lost.
  void carrier_gone(CarrierId carrier);

  // Processes that were found to be gone since the last call, by client and start id. Where a
  // client's links are in several registries the others are told with process_gone().
  std::vector<std::pair<std::string, std::uint64_t>> take_gone() {
    return std::exchange(gone_, {});
  }
  void process_gone(Time now, const std::string& client, std::uint64_t start_id);

  // Links that hello() or poll() touched since the last call: pump them.
  std::vector<Link*> take_touched();

  Link* find(const LinkId& id);
  const std::string& client_of(const LinkId& id) const;
  std::uint32_t slot_of(const LinkId& id) const;
  // An ended link is forgotten; the caller has drained its effects.
  void remove(const LinkId& id);
  template <typename Visit>
  void for_each(Visit visit) {
    for (auto& [id, entry] : links_) visit(*entry.link, entry.client);
  }
  std::size_t size() const { return links_.size(); }

  // A link whose process died is here again; nothing where its client has one of that id.
  Link* adopt(std::unique_ptr<Link> link, const LinkFacts& facts);
  // What a client's link is made with.
  LinkOptions options_for(const ClientPolicy& client) const;

  // Refuses new links and new streams from now on; resumes are still accepted.
  void drain(Time now);
  // New links are taken again; those that were told keep to it, and end when they are empty.
  void undrain() { draining_ = false; }
  bool draining() const { return draining_; }

  Buffer welcome_refused(const Refused& refused) const;
  Buffer welcome_unknown(const Unknown& unknown) const;
  const RegistryOptions& options() const { return options_; }
  // A reload: `policy_of` tells what each client may have now, or nothing for one that is gone:
  // its links stay, and are offered no service any more. Link::reconfigure() says when what counts.
  void reconfigure(RegistryOptions options,
                   const std::function<const ClientPolicy*(const std::string& client)>& policy_of);

 private:
  struct Entry {
    std::unique_ptr<Link> link;
    std::string client;
    std::uint32_t slot = 0;
    std::uint64_t start_id = 0;
    std::uint64_t ordinal = 0;
    bool counted = false;  // by the quota
  };
  // Of a process that is gone: it ends, unless it answers.
  struct Doubt {
    LinkId link;
    Time asked_at;
    Time give_up_at;
  };
  // A link that ended here, of which its client may not know.
  struct Past {
    LinkId link;
    std::string client;
    Cause cause{};
  };
  struct Waiter {
    CarrierId carrier;
    ClientPolicy client;
    HelloRequest request;
    LinkId in_the_way;
    Time asked_at;
    Time give_up_at;  // unanswered until then: the old link goes
  };

  Decision resume(Time now, CarrierId carrier, Entry& entry, const HelloRequest& request);
  Decision create(Time now, CarrierId carrier, const ClientPolicy& client, HelloRequest request);
  Decision make(Time now, CarrierId carrier, const ClientPolicy& client,
                const HelloRequest& request);
  // Nothing: it waits on.
  std::optional<Decision> decide(Time now, Waiter& waiter);
  Unknown unknown(const LinkId& link, const std::string& client) const;
  void end_link(Time now, Entry& entry, Cause cause);
  void succeed(Time now, Entry& entry);
  void settle_doubts(Time now);
  // The client's, in order.
  std::vector<Entry*> entries_of(const std::string& client);
  bool take_quota(const ClientPolicy& client, std::uint32_t slot);
  void give_back(Entry& entry);
  void touch(Link& link);

  RegistryOptions options_;
  MemoryPool& pool_;
  LinkQuota* quota_;
  Random random_;
  bool draining_ = false;
  std::map<LinkId, Entry> links_;
  std::map<std::string, std::vector<LinkId>, std::less<>> by_client_;
  std::vector<Waiter> waiters_;
  std::vector<Doubt> doubts_;
  std::vector<std::pair<std::string, std::uint64_t>> gone_;
  std::vector<LinkId> touched_;
  std::deque<Past> past_;  // the last kMostPast
};

}  // namespace holdfast
