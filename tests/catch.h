// Catch2, whichever of its majors is here: 2 is one header and has its main() in tests/main.cc, 3
// is a library with a main() and has many headers. All tests include this one.
#pragma once

#if __has_include(<catch2/catch_test_macros.hpp>)

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

namespace holdfast {
using Catch::Approx;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;
}  // namespace holdfast

#else

#include <catch2/catch.hpp>

namespace holdfast {
using Catch::Detail::Approx;
using Catch::Matchers::StartsWith;
inline auto ContainsSubstring(const std::string& text) {
  return Catch::Matchers::Contains(text);
}
}  // namespace holdfast

#endif
