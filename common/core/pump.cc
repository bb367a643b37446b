#include "common/core/pump.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"

namespace holdfast {
namespace {

// What one read should cause at most: some milliseconds' work, if each effect is a stream opened or
// ended.
constexpr std::size_t kEffectsPerRead = 512;
constexpr std::size_t kNoLimit = SIZE_MAX;

}  // namespace

void Pump::touch() {
  if (std::exchange(touched_, true) || turning_) return;
  port_.wants_turn();
}

// --- Bytes in -------------------------------------------------------------------------------

bool Pump::prepare_read(Time now) {
  if (perform_effects(now, budget_.effects) && polled_ < budget_.effects) return true;
  touch();
  return false;
}

void Pump::carrier_bytes(Time now, CarrierId carrier, Bytes bytes) {
  HOLDFAST_CHECK(settled_);
  link_.carrier_bytes(now, carrier, bytes);
  std::size_t before = polled_;
  perform_effects(now, kNoLimit);
  adapt_read_size(bytes.size(), polled_ - before);
  touch();
}

// Reads of many small frames get smaller, so that a peer that opens and resets thousands of streams
// in one read (or honestly moves single bytes of thousands) leaves the others their turns.
void Pump::adapt_read_size(std::size_t bytes, std::size_t effects) {
  if (effects > kEffectsPerRead) {
    read_size_ = std::max(kLeastRead, bytes * kEffectsPerRead / effects);
  } else {
    read_size_ = std::min(read_size_ * 2, kMostRead);
  }
}

// --- A turn ---------------------------------------------------------------------------------

bool Pump::turn(Time now) {
  turning_ = true;
  if (now >= link_.next_timeout()) {
    if (link_.wants_report(now)) look(now);
    link_.timeout(now);
  }
  perform_effects(now, budget_.effects);
  if (!connects_.empty()) connect_some();
  if (verify_ != CarrierId{}) verify(now);
  touched_ = false;  // what was said so far leaves now, what is said from here on in the next turn
  if (settled_) {
    transmit(now);
    if (link_.unreported()) look(now);
    perform_effects(now, budget_.effects);
  }
  if (!settled_ || !connects_.empty()) touched_ = true;
  polled_ = 0;
  turning_ = false;
  return touched_;
}

// Polls at most so many effects; true when there are none left.
bool Pump::perform_effects(Time now, std::size_t most) {
  HOLDFAST_CHECK(!polling_);  // an effect's bytes are good until the next poll
  polling_ = true;
  settled_ = false;
  for (; most > 0; --most) {
    std::optional<Effect> effect = link_.poll_effect(now);
    settled_ = !effect;
    if (settled_) break;
    polled_ += 1;
    if (const auto* connect = std::get_if<effect::ConnectTarget>(&*effect)) {
      connects_.push_back(connect->stream);
    } else if (const auto* verify = std::get_if<effect::VerifyCarrier>(&*effect)) {
      verify_ = verify->carrier;
    } else {
      port_.perform(*effect);
    }
  }
  polling_ = false;
  return settled_;
}

void Pump::connect_some() {
  for (std::size_t left = budget_.connects; left > 0 && !connects_.empty();) {
    StreamHandle stream = connects_.front();
    connects_.pop_front();
    if (!link_.wants_target(stream)) continue;  // reset meanwhile: costs nothing
    left -= 1;
    port_.connect(stream);
  }
}

// While a greeting or a question stands: is it on its way? Looked at before it is too late for it.
void Pump::look(Time now) {
  CarrierId carrier = link_.carrier();
  if (carrier == CarrierId{}) return;
  if (auto path = port_.path(carrier)) link_.path_report(now, carrier, *path);
}

// Not from within perform_effects(): what is read makes effects of its own.
void Pump::verify(Time now) {
  if (!settled_) return;
  CarrierId asked = std::exchange(verify_, CarrierId{});
  if (asked != link_.carrier()) return;
  if (!port_.read_once(asked)) link_.carrier_silent(now, asked);
  perform_effects(now, budget_.effects);
}

// --- Bytes out ------------------------------------------------------------------------------

void Pump::transmit(Time now) {
  for (std::size_t left = budget_.bytes; left > 0;) {
    CarrierId carrier = link_.carrier();
    if (carrier == CarrierId{} || !port_.writable(carrier) || !gather(now, carrier)) return;
    std::size_t taken = port_.write(carrier, gather_);
    if (link_.carrier() != carrier) return;  // lost in the write, and the buffers with it
    drop_written(taken);
    if (taken != 0) link_.written(now, taken);
    if (!gather_.empty()) return;  // the port tells when there is room
    if (std::exchange(gather_last_, false)) port_.finish(carrier);
    left -= std::min(left, taken);
  }
  touched_ = true;
}

// Is there anything to be written: the rest of the last gather, or a new one?
bool Pump::gather(Time now, CarrierId carrier) {
  if (gather_carrier_ == carrier && !gather_.empty()) return true;
  gather_.clear();  // an old carrier's buffers went with it
  std::optional<Transmit> next =
      link_.poll_transmit(now, std::min(budget_.gather, port_.room(carrier)));
  if (!next) return false;
  HOLDFAST_CHECK(next->carrier == carrier);
  gather_.assign(next->buffers.begin(), next->buffers.end());
  gather_carrier_ = carrier;
  gather_last_ = next->last;
  return true;
}

void Pump::drop_written(std::size_t size) {
  auto next = gather_.begin();
  for (; next != gather_.end() && size >= next->iov_len; ++next) size -= next->iov_len;
  gather_.erase(gather_.begin(), next);
  if (size == 0) return;
  iovec& cut = gather_.front();
  cut = {static_cast<std::uint8_t*>(cut.iov_base) + size, cut.iov_len - size};
}

}  // namespace holdfast
