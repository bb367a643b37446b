// Intent: which stream's socket a system call is under way for. A process that dies has at most
// one; for that stream the kernel says how much was read or written, for all others the record
// does.
#pragma once

#include <cstdint>

#include "common/base/store_order.h"
#include "common/core/link_record.h"
#include "common/core/stream_record.h"

namespace holdfast {

struct Intent {
  enum class Operation : std::uint32_t { none, read, write, close };

  Operation operation = Operation::none;  // stored last
  LinkIndex link = kNoLink;
  SlotIndex slot = kNoSlot;

  void begin(Operation what, LinkIndex of, SlotIndex stream) {
    link = of;
    slot = stream;
    keep_store_order();
    operation = what;
    keep_store_order();
  }
  void end() {
    keep_store_order();
    operation = Operation::none;
  }
  bool names(LinkIndex of, SlotIndex stream) const {
    return operation != Operation::none && link == of && slot == stream;
  }
};

}  // namespace holdfast
