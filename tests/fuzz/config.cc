// The config loader, both sides: whatever the text, an answer and no exception.
#include <cstdint>
#include <string_view>

#include "common/config/load.h"
#include "tests/fuzz/input.h"

namespace {

template <typename Loaded>
void check(const Loaded& loaded) {
  FUZZ_CHECK(loaded.config.has_value() == !holdfast::has_errors(loaded.problems));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace holdfast;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  check(parse_client_config(text, "/nowhere/client.toml", Surroundings::ignored));
  check(parse_server_config(text, "/nowhere/server.toml", Surroundings::ignored));
  return 0;
}
