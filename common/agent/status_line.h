// One line on how an agent is, cheap enough for once a second at any number of connections.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/admin/snapshot.h"
#include "common/tunnel/link_driver.h"

namespace holdfast {

// Sums over the agent's links.
struct AgentBrief {
  AgentKind kind{};
  bool draining = false;
  std::size_t live = 0;    // links that are heard
  std::size_t silent = 0;  // that have a carrier, and are not
  std::size_t down = 0;
  std::optional<Duration> silent_for;  // of the one that is silent longest
  std::size_t connections = 0;
  std::size_t safe = 0;              // of these, on links that are down
  std::optional<Duration> safe_for;  // of the link whose grace is over first
  std::uint64_t resumes = 0;
  std::vector<std::string> not_listening;  // addresses that cannot be had
  std::string peer;                        // of a live link
  std::string trouble;                     // why a link is down, for people

  // `newer_trouble`: what went wrong since the carrier was lost, if anything.
  void add(const LinkDriver& driver, Time now, const std::string& newer_trouble = "");
};

//   link up to hub-1, 3 connections, resumed 2 times
//   link down, retrying; 3 connections safe for 4m48s: 192.0.2.1:7443: connection refused
//   link to hub-1 silent for 7.0s, dialling, 3 connections
//   2 links up, 1 silent for 7.0s, 1 down, 17 connections, 4 of them safe for 4m48s
//   no link, waiting for clients
//   no link, waiting for clients; cannot listen on 192.0.2.1:7443 and 1 more
//   draining, 2 connections left; link up to hub-1
std::string status_line(const AgentBrief& brief);

}  // namespace holdfast
