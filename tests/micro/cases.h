// What is measured: each case is set up once and then done so many times.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

namespace holdfast::micro {

struct Case {
  std::string_view name;
  std::string_view what;
  // Sets up, and gives what does it `count` times.
  std::function<std::function<void(std::uint64_t count)>()> prepare;
  bool allocates = false;  // in steady state; where false, a test holds it to none
};

std::span<const Case> cases();

}  // namespace holdfast::micro
