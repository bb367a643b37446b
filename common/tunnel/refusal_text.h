// What a refused link should know, for people: in the client's log, `status` and `doctor`, and in
// the server's log.
#pragma once

#include <string>
#include <string_view>

#include "common/wire/cause.h"

namespace holdfast {

// Why the server refused the link of client `name`, and what is likely; empty: the cause says it
// all.
inline std::string refusal_text(Cause cause, std::string_view name) {
  const std::string quoted = "\"" + std::string(name) + "\"";
  switch (cause) {
    case Cause::auth:
      return quoted + " is not the name that this key or certificate belongs to, or its access " +
             "has ended: name must be that of [clients.NAME] at the server";
    case Cause::duplicate_name:
      return "another live agent has the name " + quoted +
             ": each needs a name and a key of its own";
    case Cause::limit:
      return quoted + " has as many links as [clients.NAME] links allows, or all have as many " +
             "connections as the server's [limits] allow";
    case Cause::version:
      return "the agents have no version of the protocol in common: install the same release on "
             "both";
    case Cause::draining:
      return "the server drains: it takes no new links";
    case Cause::other_server:
      return "another server answers than the one that has this link's connections";
    default:
      return "";
  }
}

}  // namespace holdfast
