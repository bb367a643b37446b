// Prints what is made from the table of config keys: client.toml, server.toml, the manual's part,
// or the keys' names, one a line, after their side.
#include <cstdio>
#include <string>

#include "common/config/key_facts.h"
#include "common/config/reference.h"

namespace {

std::string key_names() {
  std::string text;
  auto add = [&text](const char* side, const std::vector<holdfast::SectionFact>& sections) {
    for (const holdfast::SectionFact& section : sections) {
      for (const holdfast::KeyFact& key : section.keys) text += side + (" " + key.key) + "\n";
    }
  };
  add("client", holdfast::client_sections());
  add("server", holdfast::server_sections());
  return text;
}

}  // namespace

int main(int count, char** arguments) {
  const std::string what = count == 2 ? arguments[1] : "";
  std::string text;
  if (what == "client.toml") text = holdfast::example_file(holdfast::Side::client);
  if (what == "server.toml") text = holdfast::example_file(holdfast::Side::server);
  if (what == "manual") text = holdfast::manual_keys();
  if (what == "keys") text = key_names();
  if (text.empty()) {
    std::fprintf(stderr, "usage: config_reference client.toml|server.toml|manual|keys\n");
    return 64;
  }
  return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() ? 0 : 1;
}
