// Random numbers that nobody can guess, from getrandom(2).
#pragma once

#include <cstdint>

#include "common/base/ids.h"

namespace holdfast {

std::uint64_t random_u64();
LinkId random_link_id();
MarkKey random_mark_key();

}  // namespace holdfast
