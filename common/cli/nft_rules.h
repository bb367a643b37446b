// The nftables rules and routes that a config asks for, as text; nothing here runs anything.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/cli/cli.h"
#include "common/config/config.h"

namespace holdfast {

// A command for ip(8), without its first word.
using IpCommand = std::vector<std::string>;

struct NftPlan {
  std::string table;  // in the family inet
  std::string rules;  // for `nft -f -`: makes the table anew in one transaction; empty: none
  // One rule and one route for each family that is to be delivered here. `rule` is shown by
  // `ip rule show` with the same words where it stands already.
  struct Delivery {
    std::string family;  // "-4" or "-6"
    std::string mark;
    std::string route_table;
    bool operator==(const Delivery&) const = default;
  };
  std::vector<Delivery> deliveries;
  bool delivers(const Delivery& each) const;

  static IpCommand show_rule(const Delivery& each);
  static IpCommand add_rule(const Delivery& each);
  static IpCommand delete_rule(const Delivery& each);
  static IpCommand add_route(const Delivery& each);
  static IpCommand flush_routes(const Delivery& each);
  // Everything that may have been applied, also by an earlier config with the same names.
  std::vector<Delivery> all_deliveries;
};

// `own_user`: whose traffic is left alone where [nft] exclude says nothing, a name or a number.
NftPlan nft_plan(const ClientConfig& config, const std::string& own_user);
NftPlan nft_plan(const ServerConfig& config);

// What `nft` prints: the rules, and the commands for ip(8) as comments.
std::string to_string(const NftPlan& plan);

}  // namespace holdfast
