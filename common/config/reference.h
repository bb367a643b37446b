// What is written for people from the table of keys: the example files and the manual's part.
//
// config/client.toml, config/server.toml and docs/man/holdfast.toml.5.scd hold what these give;
// tests/rules compares them (scripts/write-reference writes them anew).
#pragma once

#include <string>

#include "common/config/loading.h"
#include "common/config/reload_effect.h"

namespace holdfast {

// config/client.toml or config/server.toml: every key, with its default and its meaning.
std::string example_file(Side side);

// The chapters "KEYS OF ..." of holdfast.toml(5), in scdoc(5).
std::string manual_keys();

// How the manual calls the effect: "Reload: at once."
std::string reload_words(ReloadEffect effect);

}  // namespace holdfast
