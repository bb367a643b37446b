// All config keys, a table for each section, in the order of the manual and of the example files.
// docs/CONTRIBUTING.md says how a key is added.
#pragma once

#include "common/config/config.h"
#include "common/config/key.h"

namespace holdfast {

// Ranges that several keys have.
inline constexpr DurationRange kHeartbeatRange = {milliseconds(10), seconds(3600)};
inline constexpr DurationRange kDeadAfterRange = {milliseconds(20), seconds(24 * 3600)};
inline constexpr DurationRange kTimeoutRange = {milliseconds(10), seconds(3600)};
inline constexpr DurationRange kGraceRange = {seconds(1), seconds(7 * 24 * 3600)};
// TCP counts keepalive by seconds, and needs two.
inline constexpr DurationRange kKeepaliveRange = {seconds(2), seconds(7 * 24 * 3600)};
inline constexpr DurationRange kPatienceRange = {seconds(1), seconds(7 * 24 * 3600)};
inline constexpr SizeRange kWindowRange = {16 * kKiB, 1024 * kMiB};
inline constexpr SizeRange kMemoryRange = {kMinMemory, std::uint64_t{1} << 40};
inline constexpr CountRange kConnectionsRange = {1, 10'000'000};

// What both sides have; `side` decides over defaults and examples. Each function gives the same
// table again.
const SectionKeys<CommonConfig>& top_keys(Side side);
const SectionKeys<AdminConfig>& admin_keys(Side side);
const SectionKeys<NftConfig>& nft_keys(Side side);
const SectionKeys<LimitsConfig>& limits_keys(Side side);
const SectionKeys<LogConfig>& log_keys(Side side);

// [link], and [links.NAME] alike, with its [link.tls].
const SectionKeys<ClientLinkConfig>& client_link_keys();
const SectionKeys<TlsConfig>& client_tls_keys();
const SectionKeys<ClientServiceConfig>& client_service_keys();
// Those of [nft] that a server does not have.
const SectionKeys<NftConfig>& client_nft_keys();

const SectionKeys<ServerLinkConfig>& server_link_keys();
const SectionKeys<TlsConfig>& server_tls_keys();
const SectionKeys<PeerConfig>& server_client_keys();
const SectionKeys<ServerServiceConfig>& server_service_keys();

}  // namespace holdfast
