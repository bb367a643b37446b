// The order in which a record's fields are stored.
//
// A record may lie in memory that outlives the process. Who reads it after a crash sees every store
// that was made, so all that is needed is that the compiler keeps their order: no fence of the
// processor's.
#pragma once

#include <atomic>

namespace holdfast {

#ifdef HOLDFAST_STORE_HOOK
void store_hook();  // of a simulator, whose processes die here
#endif

// What was stored before it is stored before what is stored after it.
inline void keep_store_order() {
  std::atomic_signal_fence(std::memory_order_seq_cst);
#ifdef HOLDFAST_STORE_HOOK
  store_hook();
#endif
}

}  // namespace holdfast
