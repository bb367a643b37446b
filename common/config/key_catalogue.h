// What keys a config has: asked of the loader itself, so that what is written about them can be
// checked.
#pragma once

#include <string>
#include <vector>

namespace holdfast {

struct KeyFact {
  std::string key;   // dotted; a table's free name is NAME: "services.NAME.listen"
  std::string type;  // "string", "strings", "boolean", "count", "duration", "size" or "choice"
  std::string default_value;  // as text, without quotes; empty when there is none or it is derived
  std::string least;          // the range of a count, duration or size, as text; else empty
  std::string most;
  std::vector<std::string> choices;
  bool required = false;
};

// In the order in which they are read.
std::vector<KeyFact> client_keys();
std::vector<KeyFact> server_keys();

}  // namespace holdfast
