// Prints what is made from the table of config keys: client.toml, server.toml, or the manual's
// part.
#include <cstdio>
#include <string>

#include "common/config/reference.h"

int main(int count, char** arguments) {
  const std::string what = count == 2 ? arguments[1] : "";
  std::string text;
  if (what == "client.toml") text = holdfast::example_file(holdfast::Side::client);
  if (what == "server.toml") text = holdfast::example_file(holdfast::Side::server);
  if (what == "manual") text = holdfast::manual_keys();
  if (text.empty()) {
    std::fprintf(stderr, "usage: config_reference client.toml|server.toml|manual\n");
    return 64;
  }
  return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() ? 0 : 1;
}
