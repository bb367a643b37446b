// What a link keeps of itself for another process, beside its streams' records.
#include "common/base/store_order.h"
#include "common/core/link.h"

namespace holdfast {

LinkFacts LinkBody::facts() const {
  LinkFacts facts;
  facts.id = id_;
  facts.instance = instance_;
  facts.attempt = attempt_;
  facts.ordinal = ordinal_;
  facts.start_id = options_.start_id;
  facts.slot = options_.slot;
  facts.client = client() ? options_.name : peer_name_;
  facts.server = client() ? server_name_ : options_.name;
  facts.home_name = home_.name;
  // A longer one is found out again.
  if (home_.address.size() <= UINT8_MAX) facts.home_address = home_.address;
  facts.grace = options_.grace;
  facts.heartbeat = options_.heartbeat;
  facts.dead_after = options_.dead_after;
  facts.initial_credit = initial_credit_;
  facts.peer_max_streams = peer_max_streams_;
  for (const LinkService& each : options_.services) {
    facts.services.push_back({each.name, each.grace, each.by_destination});
  }
  return facts;
}

// A server's link is one from its first HELLO on.
void LinkBody::keep_facts() {
  if ((!client() && attempt_ == 0) || ended() || leaving()) return;
  if (!place_->write(facts())) return;
  keep_store_order();
  place_->life = LinkRecord::Life::lives;
}

}  // namespace holdfast
