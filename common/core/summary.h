// What a link and its streams tell of themselves, for logs and the admin interface.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/base/endpoint.h"
#include "common/base/time.h"
#include "common/core/stream_record.h"
#include "common/wire/cause.h"

namespace holdfast {

// Why an application's socket is not read now.
enum class Pause : std::uint8_t {
  none,
  credit,  // the peer has not yet taken enough of what was sent
  memory,  // ours is used up
};
std::string_view to_string(Pause pause);

// How one stream goes, or went.
struct StreamSummary {
  std::uint16_t service = 0;
  OpenState open_state{};
  EndMark own_end{};
  EndMark peer_end{};
  Cause cause{};
  Pause pause = Pause::none;         // of reading its application
  std::uint64_t sent_bytes = 0;      // taken from our application
  std::uint64_t unacked_bytes = 0;   // of those, not yet written to the peer's application
  std::uint64_t received_bytes = 0;  // delivered to our application
  std::uint64_t queued_bytes = 0;    // received, not yet taken by our application
  std::uint64_t window = 0;
  std::uint64_t replayed_bytes = 0;
  std::uint32_t resumes = 0;
  Duration age{};
  Duration idle{};  // since bytes were last taken from or delivered to our application
  Duration detached{};
  Endpoint source;
  Endpoint destination;
};

// One service's streams now. Sums of bytes are of the application's, as in StreamSummary.
struct ServiceTally {
  std::uint64_t waiting = 0;  // no OPEN is written (client), the target is not connected (server)
  std::uint64_t asked = 0;    // client: OPEN is written, not answered
  std::uint64_t open = 0;
  std::uint64_t closing = 0;  // one end at least is closed
  std::uint64_t sent_bytes = 0;
  std::uint64_t received_bytes = 0;
  std::uint64_t replayed_bytes = 0;
};

struct LinkCounters {
  std::uint64_t resumes = 0;  // of the link
  std::uint64_t carriers_lost = 0;
  std::uint64_t carriers_barren = 0;  // FirstBytes
  std::uint64_t sent_bytes = 0;       // taken from our applications
  std::uint64_t received_bytes = 0;   // delivered to our applications
  std::uint64_t replayed_bytes = 0;   // written to a carrier again
  std::uint64_t pauses_credit = 0;    // reading paused for want of the peer's credit
  std::uint64_t pauses_memory = 0;
  Duration outage{};  // ended ones, summed
};

}  // namespace holdfast
