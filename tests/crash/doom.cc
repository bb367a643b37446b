#include "tests/crash/doom.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "common/base/store_order.h"

namespace holdfast {

void store_hook(const char*, int) {
  if (crash::Doom::current != nullptr) crash::Doom::current->pass();
}

}  // namespace holdfast

namespace holdfast::crash {

Doom* Doom::current = nullptr;

namespace {

constexpr std::size_t kPage = 4096;

// The pages of `memory` that were ever touched: most of it never is, and to read those would cost
// more than all else that a world does. mincore(2).
std::vector<std::span<const std::byte>> touched(std::span<const std::byte> memory) {
  std::vector<unsigned char> there((memory.size() + kPage - 1) / kPage, 1);
  auto* start = const_cast<std::byte*>(memory.data());
  if (reinterpret_cast<std::uintptr_t>(start) % kPage == 0) {
    mincore(start, memory.size(), there.data());
  }
  std::vector<std::span<const std::byte>> pages;
  for (std::size_t page = 0; page < there.size(); ++page) {
    if ((there[page] & 1) == 0) continue;
    std::size_t at = page * kPage;
    pages.push_back(memory.subspan(at, std::min(kPage, memory.size() - at)));
  }
  return pages;
}

}  // namespace

void Doom::pass(bool whole) {
  if (struck_ || at_ == 0) return;
  passed_ += 1;
  if (passed_ == at_) {
    if (memory_.empty()) return;
    relics_ = make_plain_memory(memory_.size());
    for (auto page : touched(memory_)) {
      std::copy(page.begin(), page.end(), relics_->bytes().data() + (page.data() - memory_.data()));
    }
    return;
  }
  if (passed_ != at_ + 1) return;
  struck_ = true;
  if (relics_ == nullptr) return;  // it had no memory yet
  std::uint64_t odds = whole ? 1 : random_.below(4);
  if (odds == 0) return;
  for (auto page : touched(memory_)) {
    std::byte* kept = relics_->bytes().data() + (page.data() - memory_.data());
    if (std::memcmp(kept, page.data(), page.size()) == 0) continue;
    for (std::size_t at = 0; at + 8 <= page.size(); at += 8) {
      if (std::memcmp(kept + at, &page[at], 8) == 0) continue;
      if (odds == 1 || random_.one_in(2)) std::memcpy(kept + at, &page[at], 8);
    }
  }
}

}  // namespace holdfast::crash
