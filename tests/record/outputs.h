// What a Link shows after a call, told to a tape: the same code for recording and for comparing.
#pragma once

#include <sys/uio.h>

#include <functional>
#include <optional>
#include <span>

#include "common/core/link_registry.h"
#include "tests/record/tape.h"

namespace holdfast::record {

void put_effect(Tape& tape, const std::optional<Effect>& effect);
void put_transmit(Tape& tape, const std::optional<Transmit>& transmit);
// Their number and sizes, and what lies in them where `bytes` is true.
void put_buffers(Tape& tape, std::span<const iovec> buffers, bool bytes);
void put_stream(Tape& tape, const Link& link, Time now, StreamHandle stream);
// next_timeout() and the getters; every stream's summary where `streams` is true.
void put_state(Tape& tape, const Link& link, Time now, bool streams);
void put_opened(Tape& tape, const Result<StreamHandle>& opened);
// What waits for a decision, and how many links there are.
void put_registry(Tape& tape, const LinkRegistry& registry);
// `index_of` tells the number of an accepted link.
void put_decision(Tape& tape, const LinkRegistry::Decision& decision,
                  const std::function<std::uint64_t(const Link&)>& index_of);

}  // namespace holdfast::record
