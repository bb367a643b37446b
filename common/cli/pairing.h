// Pairing in one line: `invite` and `uninvite` at the server, `join` at the client.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/cli/file_batch.h"
#include "common/cli/subcommands.h"

namespace holdfast {

struct InviteWords {
  std::string name;
  std::vector<std::string> services;   // S or S=TARGET
  std::vector<std::string> addresses;  // HOST:PORT
  std::string expires;                 // a date, or a duration from now; empty: never
  std::string out;                     // a new file for the line, in place of standard output
  bool no_start = false;
};
int do_invite(const Invocation& call, const InviteWords& words, const AgentPlaces& places);
int do_uninvite(const Invocation& call, const std::string& name, bool keep_connections);

struct JoinWords {
  std::string line;  // "-": from standard input
  bool no_start = false;
};
int do_join(const Invocation& call, const JoinWords& words, const AgentPlaces& places);

// ---- what both need

// A TOML string.
std::string quoted(const std::string& text);
// The folder of a file, without its last slash; "." where it has none.
std::string folder_of(const std::string& path);
// Who is to own a new file beside the config: root gives it to the config's or folder's group, and
// a secret to the agents' user, where that is known. Others own what they make.
struct Owners {
  Owner plain;
  Owner secret;
};
Owners owners_for(const std::string& config_path, const AgentPlaces& places);
mode_t plain_mode(const std::string& config_path);

// Starts the unit of this kind's usual config, now and at every boot. False where this is not for
// us to do: another config, no systemd, no unit, not root. Else what came of it.
struct Started {
  bool tried = false;
  bool good = false;
};
Started start_unit(AgentKind kind, const std::string& config_path, const AgentPlaces& places);

}  // namespace holdfast
