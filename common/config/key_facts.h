// The table of keys (keys.h) as one flat list of texts, for the example files, the manual and
// tests.
#pragma once

#include <string>
#include <vector>

#include "common/config/reload_effect.h"

namespace holdfast {

struct KeyFact {
  std::string key;            // dotted; a table's free name is NAME: "services.NAME.listen"
  std::string name;           // its last part
  std::string type;           // as the manual writes it: "_duration_"
  std::string default_value;  // as text, without quotes; empty when there is none or it is derived
  bool quoted = true;         // whether a file writes it in quotes
  std::string least;          // the range of a count, duration or size, as text; else empty
  std::string most;
  std::vector<std::string> words;  // of a choice
  bool required = false;
  ReloadEffect reload{};
  std::string text;
  std::string absent;
  std::string example;  // as a file writes it; empty: the default
  bool in_use = false;
};

// One table of the config, as the manual and the example files show it.
struct SectionFact {
  std::string name;  // "services.NAME"; the top has none
  std::string heading;
  std::string text;
  std::string example;
  std::string note;
  std::vector<KeyFact> keys;
};

// [links.NAME] is not among them: it is as [link].
std::vector<SectionFact> client_sections();
std::vector<SectionFact> server_sections();

// Of all sections, [links.NAME] too.
std::vector<KeyFact> client_keys();
std::vector<KeyFact> server_keys();

}  // namespace holdfast
