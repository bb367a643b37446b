// Failure: the oracle's verdict, thrown so that a run stops at the very step.
#pragma once

#include <stdexcept>
#include <string>

namespace holdfast::sim {

class Failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

inline void require(bool condition, const char* what) {
  if (!condition) throw Failure(what);
}
inline void require(bool condition, const std::string& what) {
  if (!condition) throw Failure(what);
}

}  // namespace holdfast::sim
