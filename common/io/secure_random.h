// Random numbers that nobody can guess, from getrandom(2).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/ids.h"

namespace holdfast {

std::uint64_t random_u64();
LinkId random_link_id();
MarkKey random_mark_key();

// What connection_name() made, read back.
struct ConnectionName {
  std::string link;  // LinkId::short_name()
  StreamId stream;
};
std::optional<ConnectionName> parse_connection(std::string_view name);

}  // namespace holdfast
