// What goes into a Link and out of it, besides effects; and what it keeps of that.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <span>

#include "common/base/bytes.h"
#include "common/base/endpoint.h"
#include "common/base/ids.h"
#include "common/base/time.h"
#include "common/core/effects.h"

namespace holdfast {

// One gather write. The buffers stay valid until written() has covered them or the carrier is
// not the link's any more (carrier() tells): then they must not be touched.
struct Transmit {
  CarrierId carrier;
  std::span<const iovec> buffers;
  std::size_t bytes = 0;
  bool last = false;  // GOODBYE is in it: close the carrier in order once it is written
};

struct OpenRequest {
  std::uint16_t service = 0;  // index into LinkOptions::services
  Endpoint source;
  Endpoint destination;
  SocketFacts socket{};  // the application's; else attach() follows
};

// The part of a carrier's bytes that was handed out by Deliver and not yet taken.
struct PendingDelivery {
  SlotIndex slot = kNoSlot;
  Bytes bytes;
};
// The DATA frame whose bytes are arriving.
struct IncomingData {
  StreamHandle stream;  // kNoSlot: skip them
};
// A stream's time in a queue of one delay: when it is due; of open_deadlines_, when it began.
struct Deadline {
  StreamHandle stream;
  Time at;
};

}  // namespace holdfast
