// Result<T>: a value, or an Error that says in plain words why there is none.
//
// Errors are values here; exceptions end at the library that throws them.
#pragma once

#include <string>
#include <utility>
#include <variant>

#include "common/base/check.h"

namespace holdfast {

// Why something could not be had. `message` is for people: it names the file, key, address or
// limit, and what to do where that is known. No trailing full stop or newline.
struct Error {
  std::string message;
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & {
    HOLDFAST_CHECK(ok());
    return *std::get_if<0>(&state_);
  }
  const T& value() const& {
    HOLDFAST_CHECK(ok());
    return *std::get_if<0>(&state_);
  }
  T&& value() && {
    HOLDFAST_CHECK(ok());
    return std::move(*std::get_if<0>(&state_));
  }
  const Error& error() const {
    HOLDFAST_CHECK(!ok());
    return *std::get_if<1>(&state_);
  }

  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  std::variant<T, Error> state_;
};

struct Ok {};
using Status = Result<Ok>;

}  // namespace holdfast
