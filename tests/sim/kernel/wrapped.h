// For functions that the linker's --wrap replaces: the real one's declaration, the replacement's
// head. Its body follows.
#pragma once

#define HOLDFAST_WRAPPED(result, name, parameters) \
  extern "C" result __real_##name parameters;      \
  extern "C" result __wrap_##name parameters;      \
  result __wrap_##name parameters
