// std::visit with lambdas: overloaded{[](A) {...}, [](B) {...}}.
#pragma once

namespace holdfast {

template <typename... F>
struct overloaded : F... {
  using F::operator()...;
};
template <typename... F>
overloaded(F...) -> overloaded<F...>;  // clang 14 wants it spelled out

}  // namespace holdfast
