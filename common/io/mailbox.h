// Mailbox: what other threads have for a loop, handed over on the loop's thread, in order.
#pragma once

#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include "common/io/signals.h"

namespace holdfast {

template <typename Item>
class Mailbox {
 public:
  Mailbox(Loop& loop, std::function<void(Item)> take)
      : take_(std::move(take)), wakeup_(loop, [this] { deliver(); }) {}

  // Any thread, as long as this lives.
  void put(Item item) {
    std::lock_guard lock(mutex_);
    items_.push_back(std::move(item));
    wakeup_.wake();
  }

 private:
  void deliver() {
    std::vector<Item> items;
    {
      std::lock_guard lock(mutex_);
      items.swap(items_);
    }
    for (Item& item : items) take_(std::move(item));
  }

  std::function<void(Item)> take_;
  std::mutex mutex_;
  std::vector<Item> items_;
  Wakeup wakeup_;
};

}  // namespace holdfast
