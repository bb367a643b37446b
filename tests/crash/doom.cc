#include "tests/crash/doom.h"

#include <cstring>

#include "common/base/store_order.h"

namespace holdfast {

void store_hook(const char*, int) {
  if (crash::Doom::current != nullptr) crash::Doom::current->pass();
}

}  // namespace holdfast

namespace holdfast::crash {

Doom* Doom::current = nullptr;

void Doom::pass(bool whole) {
  if (struck_ || at_ == 0) return;
  passed_ += 1;
  if (passed_ == at_) {
    relics_.assign(memory_.begin(), memory_.end());
    return;
  }
  if (passed_ != at_ + 1) return;
  struck_ = true;
  if (relics_.size() != memory_.size()) return;  // it had no memory yet
  std::uint64_t odds = whole ? 1 : random_.below(4);
  if (odds == 0) return;
  for (std::size_t at = 0; at + 8 <= memory_.size(); at += 8) {
    if (std::memcmp(&relics_[at], &memory_[at], 8) == 0) continue;
    if (odds == 1 || random_.one_in(2)) std::memcpy(&relics_[at], &memory_[at], 8);
  }
}

}  // namespace holdfast::crash
