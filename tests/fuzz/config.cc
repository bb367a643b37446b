// The config loader, both sides: whatever the text, an answer and no exception.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/load.h"
#include "tests/fuzz/input.h"

namespace {

template <typename Loaded>
void check(const Loaded& loaded) {
  FUZZ_CHECK(loaded.config.has_value() == !holdfast::has_errors(loaded.problems));
  FUZZ_CHECK(!holdfast::problems_to_json(loaded.problems).empty());
  FUZZ_CHECK(holdfast::format_problems(loaded.problems).empty() == loaded.problems.empty());
}

// The text up to a zero byte is the main file, and so on: fragments.
std::vector<holdfast::ConfigSource> sources(std::string_view text) {
  std::vector<holdfast::ConfigSource> sources;
  std::string path = "/nowhere/main.toml";
  for (;;) {
    const std::size_t end = text.find('\0');
    sources.push_back({path, std::string(text.substr(0, end))});
    if (end == std::string_view::npos) return sources;
    text.remove_prefix(end + 1);
    path = "/nowhere/conf.d/" + std::to_string(sources.size()) + ".toml";
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace holdfast;
  const std::vector<ConfigSource> files =
      sources(std::string_view(reinterpret_cast<const char*>(data), size));
  check(parse_client_config(files, Environment::ignored));
  check(parse_server_config(files, Environment::ignored));
  return 0;
}
