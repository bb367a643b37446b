// The order in which a record's fields are stored.
//
// A record may lie in memory that outlives the process. Who reads it after a crash sees every store
// that was made, so all that is needed is that the compiler keeps their order: no fence of the
// processor's.
#pragma once

#include <atomic>

namespace holdfast {

// What was stored before it is stored before what is stored after it.
#ifdef HOLDFAST_STORE_HOOK
// Of tests, whose processes die here.
void store_hook(const char* file = __builtin_FILE(), int line = __builtin_LINE());

inline void keep_store_order(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  std::atomic_signal_fence(std::memory_order_seq_cst);
  store_hook(file, line);
}
#else
inline void keep_store_order() {
  std::atomic_signal_fence(std::memory_order_seq_cst);
}
#endif

}  // namespace holdfast
