// Targets: where a server's streams go: who may have which target, connecting to it, and whether it
// takes connections. One for each loop.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "common/tunnel/link_driver.h"
#include "server-agent/options.h"
#include "server-agent/placement.h"
#include "server-agent/target_watch.h"

namespace holdfast {

class Targets {
 public:
  // All that is given outlives it. `options` may change while the loop does not turn; watch() is to
  // follow. `changed`: what tell_down() tells is news.
  Targets(Loop& loop, const ServerOptions& options, Placement& placement, Observer& observer,
          std::function<void()> changed);

  // Begins to connect to where the stream goes, or refuses it.
  TargetStart start(LinkDriver& driver, StreamHandle stream);
  // Why a client that asks for the service may not have it, for people.
  std::string why_unknown(std::string_view service) const;
  Patience patience(std::string_view service) const;
  // Where the service leads, for people: outlives its streams. Null: nobody knows.
  const std::string* name_of(std::string_view service);

  // Watches what is configured to be watched now. A target that was watched before stays known.
  void watch();
  // Tells the link's client which services' targets take no connections.
  void tell_down(Link& link) const;

  Resolver& resolver() { return resolver_; }
  const DescriptorBudget& budget() const { return budget_; }

 private:
  TargetStart start_by_destination(LinkDriver& driver, StreamHandle stream,
                                   const StreamSummary& summary, const ServerClient& client);
  std::unique_ptr<TargetConnect> connect(LinkDriver& driver, StreamHandle stream,
                                         const Target& target, Approach approach,
                                         const std::string& service);
  void note_result(const std::string& service, const Target& target, Cause result);
  bool is_own_listener(const Endpoint& destination) const;
  bool is_own_listener(const Target& target) const;

  Loop& loop_;
  const ServerOptions& options_;
  Placement& placement_;
  Observer& observer_;
  std::function<void()> changed_;
  DescriptorBudget budget_;
  Resolver resolver_;
  std::map<std::string, std::unique_ptr<TargetWatch>> watches_;  // by service
  std::set<std::string> names_;  // every target that was connected to, for people
};

}  // namespace holdfast
