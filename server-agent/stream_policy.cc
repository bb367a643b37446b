#include "server-agent/stream_policy.h"

#include <algorithm>

namespace holdfast {

Cause check_destination(const StreamGrants& grants, const Endpoint& destination) {
  auto address = ip_of(destination);
  if (!address || destination.port == 0 || is_for_many(*address)) return Cause::not_allowed;
  bool own_host = is_own_host(*address);
  bool allowed =
      std::any_of(grants.allow.begin(), grants.allow.end(), [&](const AddressPattern& pattern) {
        // 127.0.0.0/8 and longer, ::/127 and ::1; 0.0.0.0/0 begins like one of them, too.
        bool v4 = pattern.network.address.version == IpVersion::v4;
        bool meant =
            pattern.network.prefix >= (v4 ? 8 : 127) && is_own_host(pattern.network.address);
        return pattern.contains(*address, destination.port) && (!own_host || meant);
      });
  return allowed ? Cause::none : Cause::not_allowed;
}

Cause check_source(const StreamGrants& grants, const Endpoint& source, SourceUse use) {
  if (use == SourceUse::none) return Cause::none;
  auto address = ip_of(source);
  if (!address) return use == SourceUse::told ? Cause::none : Cause::source_failed;
  if (use == SourceUse::bound) {
    if (is_own_host(*address) || is_for_many(*address)) return Cause::not_allowed;
    if (!grants.sources) return Cause::not_allowed;
  }
  if (!grants.sources) return Cause::none;
  bool allowed = std::any_of(grants.sources->begin(), grants.sources->end(),
                             [&](const Network& network) { return network.contains(*address); });
  return allowed ? Cause::none : Cause::not_allowed;
}

}  // namespace holdfast
