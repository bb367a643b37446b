// What holdfast-record has in place of the methods of Link and LinkRegistry.
//
// `-Wl,--wrap=NAME` (CMakeLists.txt) sends every call from another file to __wrap_NAME, which is a
// function here, and gives the method itself the name __real_NAME. A method is a function whose
// first argument is `this` (Itanium C++ ABI, 3.1), a constructor one that returns nothing.
#include "tests/record/mangled.h"
#include "tests/record/recorder.h"
#include "tests/record/values.h"

namespace holdfast::record {
namespace {

using std::size_t;
using Buffers = std::span<iovec>;

// One call of a link's that answers nothing; `real(now, args...)`.
template <typename Real, typename... Args>
void link_call(Call call, Link* self, Time now, Real real, Args... args) {
  Recorder* recorder = Recorder::at_outer_call();
  bool recorded = recorder != nullptr && recorder->is_recorded(self);
  if (recorded) {
    Tape& tape = recorder->begin(call, self, now);
    (tape.in(args), ...);
  }
  {
    Recorder::Inside inside;
    real(self, now, args...);
  }
  if (recorded) recorder->finish(*self, true);
}

// The same about one stream.
template <typename Real, typename... Args>
void stream_call(Call call, Link* self, Time now, StreamHandle stream, Real real, Args... args) {
  Recorder* recorder = Recorder::at_outer_call();
  bool recorded = recorder != nullptr && recorder->is_recorded(self);
  if (recorded) {
    Tape& tape = recorder->begin(call, self, now);
    tape.in(stream);
    (tape.in(args), ...);
  }
  {
    Recorder::Inside inside;
    real(self, now, stream, args...);
  }
  if (recorded) recorder->finish(*self, stream);
}

// Where a call is recorded: its recorder, else nothing.
Recorder* recorder_of(const void* object) {
  Recorder* recorder = Recorder::at_outer_call();
  return recorder != nullptr && recorder->is_recorded(object) ? recorder : nullptr;
}

}  // namespace

#define WRAPPED(result, name, symbol, ...)                      \
  result real_##name(__VA_ARGS__) __asm__("__real_" symbol);    \
  result wrapped_##name(__VA_ARGS__) __asm__("__wrap_" symbol); \
  result wrapped_##name(__VA_ARGS__)

// --- Links -----------------------------------------------------------------------------------

WRAPPED(void, make, LINK_MAKE, Link* self, LinkOptions options, MemoryPool& pool, LinkId id,
        std::uint64_t instance) {
  if (Recorder* recorder = Recorder::at_outer_call()) {
    Tape& tape = recorder->begin(Call::make_link, self);
    recorder->pool(pool, false);
    tape.in(options);
    tape.in(id);
    tape.in(instance);
    recorder->add_object(self);
  }
  Recorder::Inside inside;
  real_make(self, std::move(options), pool, id, instance);
}

WRAPPED(void, destroy, LINK_DESTROY, Link* self) {
  if (Recorder* recorder = Recorder::active()) recorder->link_dies(self);
  Recorder::Inside inside;
  real_destroy(self);
}

WRAPPED(void, carrier_up, LINK_CARRIER_UP, Link* self, Time now, CarrierId carrier,
        Duration round_trip) {
  link_call(Call::carrier_up, self, now, real_carrier_up, carrier, round_trip);
}

WRAPPED(void, accept, LINK_ACCEPT, Link* self, Time now, CarrierId carrier, const Hello& hello,
        StreamId highest, const std::vector<TableEntry>& table, bool created) {
  link_call(Call::accept, self, now, real_accept, carrier, hello, highest, table, created);
}

WRAPPED(void, carrier_bytes, LINK_CARRIER_BYTES, Link* self, Time now, CarrierId carrier,
        Bytes bytes) {
  Recorder* recorder = recorder_of(self);
  if (recorder != nullptr) {
    std::vector<std::uint8_t> copy(bytes.begin(), bytes.end());
    Tape& tape = recorder->begin(Call::carrier_bytes, self, now);
    tape.in(carrier);
    recorder->wires.carrier_bytes(tape, recorder->index_of(self), carrier, copy);
  }
  {
    Recorder::Inside inside;
    real_carrier_bytes(self, now, carrier, bytes);
  }
  if (recorder != nullptr) recorder->finish_later(*self);
}

WRAPPED(void, carrier_down, LINK_CARRIER_DOWN, Link* self, Time now, CarrierId carrier,
        Cause cause) {
  link_call(Call::carrier_down, self, now, real_carrier_down, carrier, cause);
}

WRAPPED(void, carrier_silent, LINK_CARRIER_SILENT, Link* self, Time now, CarrierId carrier) {
  link_call(Call::carrier_silent, self, now, real_carrier_silent, carrier);
}

WRAPPED(void, doubt, LINK_DOUBT, Link* self, Time now) {
  link_call(Call::doubt, self, now, real_doubt);
}

WRAPPED(void, path_report, LINK_PATH_REPORT, Link* self, Time now, CarrierId of,
        const PathReport& path) {
  link_call(Call::path_report, self, now, real_path_report, of, path);
}

WRAPPED(Result<StreamHandle>, open, LINK_OPEN, Link* self, Time now, const OpenRequest& request) {
  Recorder* recorder = recorder_of(self);
  Recorder::Inside inside;
  if (recorder == nullptr) return real_open(self, now, request);
  OpenRequest copy = request;
  Tape& tape = recorder->begin(Call::open, self, now);
  tape.in(copy);
  Result<StreamHandle> opened = real_open(self, now, request);
  put_opened(tape, opened);
  recorder->finish(*self, false);
  return opened;
}

WRAPPED(void, opened, LINK_OPENED, Link* self, Time now, StreamHandle stream) {
  stream_call(Call::opened, self, now, stream, real_opened);
}

WRAPPED(void, tell_origin, LINK_TELL_ORIGIN, Link* self, Time now, StreamHandle stream,
        std::uint64_t mark) {
  stream_call(Call::tell_origin, self, now, stream, real_tell_origin, mark);
}

WRAPPED(size_t, prepare, LINK_PREPARE, Link* self, StreamHandle stream, size_t want,
        Buffers buffers) {
  Recorder* recorder = recorder_of(self);
  Recorder::Inside inside;
  if (recorder == nullptr) return real_prepare(self, stream, want, buffers);
  size_t most = buffers.size();
  Tape& tape = recorder->begin(Call::prepare, self);
  tape.in(stream);
  tape.in(want);
  tape.in(most);
  size_t count = real_prepare(self, stream, want, buffers);
  recorder->prepared.assign(buffers.begin(), buffers.begin() + static_cast<std::ptrdiff_t>(count));
  put_buffers(tape, recorder->prepared, false);
  recorder->finish(*self, false);
  return count;
}

WRAPPED(void, commit, LINK_COMMIT, Link* self, Time now, StreamHandle stream, size_t size) {
  Recorder* recorder = recorder_of(self);
  if (recorder != nullptr) {
    Tape& tape = recorder->begin(Call::commit, self, now);
    tape.in(stream);
    tape.in(size);
    recorder->payload.commit(tape, recorder->index_of(self), stream, size, recorder->prepared);
  }
  {
    Recorder::Inside inside;
    real_commit(self, now, stream, size);
  }
  if (recorder != nullptr) recorder->finish(*self, stream);
}

WRAPPED(void, finish, LINK_FINISH, Link* self, Time now, StreamHandle stream) {
  stream_call(Call::finish, self, now, stream, real_finish);
}

WRAPPED(void, abort, LINK_ABORT, Link* self, Time now, StreamHandle stream) {
  stream_call(Call::abort, self, now, stream, real_abort);
}

WRAPPED(void, vanish, LINK_VANISH, Link* self, Time now, StreamHandle stream) {
  stream_call(Call::vanish, self, now, stream, real_vanish);
}

WRAPPED(void, reset, LINK_RESET, Link* self, Time now, StreamHandle stream, Cause cause) {
  stream_call(Call::reset, self, now, stream, real_reset, cause);
}

WRAPPED(size_t, queued, LINK_QUEUED, Link* self, StreamHandle stream, Buffers buffers) {
  Recorder* recorder = recorder_of(self);
  Recorder::Inside inside;
  if (recorder == nullptr) return real_queued(self, stream, buffers);
  size_t most = buffers.size();
  Tape& tape = recorder->begin(Call::queued, self);
  tape.in(stream);
  tape.in(most);
  size_t count = real_queued(self, stream, buffers);
  put_buffers(tape, buffers.first(count), true);
  recorder->finish(*self, false);
  return count;
}

WRAPPED(void, delivered, LINK_DELIVERED, Link* self, Time now, StreamHandle stream, size_t size) {
  stream_call(Call::delivered, self, now, stream, real_delivered, size);
}

WRAPPED(void, fin_delivered, LINK_FIN_DELIVERED, Link* self, Time now, StreamHandle stream) {
  stream_call(Call::fin_delivered, self, now, stream, real_fin_delivered);
}

WRAPPED(void, abort_delivered, LINK_ABORT_DELIVERED, Link* self, Time now, StreamHandle stream) {
  stream_call(Call::abort_delivered, self, now, stream, real_abort_delivered);
}

WRAPPED(void, goodbye, LINK_GOODBYE, Link* self, Time now, Cause reason) {
  link_call(Call::goodbye, self, now, real_goodbye, reason);
}

WRAPPED(void, drain, LINK_DRAIN, Link* self, Time now) {
  link_call(Call::drain, self, now, real_drain);
}

WRAPPED(void, tell_down, LINK_TELL_DOWN, Link* self, std::vector<std::string> names) {
  Recorder* recorder = recorder_of(self);
  if (recorder != nullptr) recorder->begin(Call::tell_down, self).in(names);
  {
    Recorder::Inside inside;
    real_tell_down(self, std::move(names));
  }
  if (recorder != nullptr) recorder->finish(*self, false);
}

WRAPPED(void, end, LINK_END, Link* self, Time now, Cause cause) {
  link_call(Call::end, self, now, real_end, cause);
}

WRAPPED(void, reconnect, LINK_RECONNECT, Link* self, Time now, Cause cause) {
  link_call(Call::reconnect, self, now, real_reconnect, cause);
}

WRAPPED(std::optional<StreamHandle>, take_over, LINK_TAKE_OVER, Link* self, Time now, Link& from,
        StreamHandle stream) {
  if (Recorder* recorder = Recorder::active(); recorder != nullptr) recorder->stream_moved();
  Recorder::Inside inside;
  return real_take_over(self, now, from, stream);
}

WRAPPED(void, reconfigure, LINK_RECONFIGURE, Link* self, const LinkOptions& wanted) {
  Recorder* recorder = recorder_of(self);
  if (recorder != nullptr) {
    LinkOptions copy = wanted;
    recorder->begin(Call::reconfigure, self).in(copy);
  }
  {
    Recorder::Inside inside;
    real_reconfigure(self, wanted);
  }
  if (recorder != nullptr) recorder->finish(*self, true);
}

WRAPPED(void, reset_unoffered, LINK_RESET_UNOFFERED, Link* self, Time now, Cause cause) {
  link_call(Call::reset_unoffered, self, now, real_reset_unoffered, cause);
}

WRAPPED(void, renew, LINK_RENEW, Link* self, Time now, LinkId id) {
  link_call(Call::renew, self, now, real_renew, id);
}

WRAPPED(std::optional<Effect>, poll_effect, LINK_POLL_EFFECT, Link* self, Time now) {
  Recorder* recorder = recorder_of(self);
  Recorder::Inside inside;
  if (recorder == nullptr) return real_poll_effect(self, now);
  Tape& tape = recorder->begin(Call::poll_effect, self, now);
  std::optional<Effect> effect = real_poll_effect(self, now);
  put_effect(tape, effect);
  if (effect) recorder->finish(*self, false);
  return effect;
}

WRAPPED(std::optional<Transmit>, poll_transmit, LINK_POLL_TRANSMIT, Link* self, Time now,
        size_t most) {
  Recorder* recorder = recorder_of(self);
  Recorder::Inside inside;
  if (recorder == nullptr) return real_poll_transmit(self, now, most);
  Tape& tape = recorder->begin(Call::poll_transmit, self, now);
  tape.in(most);
  std::optional<Transmit> transmit = real_poll_transmit(self, now, most);
  put_transmit(tape, transmit);
  if (!transmit) return transmit;
  recorder->wires.transmitted(recorder->index_of(self), transmit->carrier, transmit->buffers);
  recorder->finish(*self, false);
  return transmit;
}

WRAPPED(void, written, LINK_WRITTEN, Link* self, Time now, size_t size) {
  link_call(Call::written, self, now, real_written, size);
}

WRAPPED(void, timeout, LINK_TIMEOUT, Link* self, Time now) {
  link_call(Call::timeout, self, now, real_timeout);
}

// --- Registries ------------------------------------------------------------------------------

WRAPPED(void, make_registry, REGISTRY_MAKE, LinkRegistry* self, RegistryOptions options,
        MemoryPool& pool, std::uint64_t seed, LinkQuota* quota) {
  if (Recorder* recorder = Recorder::at_outer_call()) {
    Tape& tape = recorder->begin(Call::make_registry, nullptr);
    recorder->pool(pool, true);
    tape.in(options);
    tape.in(seed);
    quota = recorder->quota(quota);
    recorder->add_registry(self);
  }
  Recorder::Inside inside;
  real_make_registry(self, std::move(options), pool, seed, quota);
}

WRAPPED(LinkRegistry::Decision, hello, REGISTRY_HELLO, LinkRegistry* self, Time now,
        CarrierId carrier, const ClientPolicy& client, HelloRequest request) {
  Recorder* recorder = recorder_of(self);
  Recorder::Inside inside;
  if (recorder == nullptr) return real_hello(self, now, carrier, client, std::move(request));
  ClientPolicy policy = client;
  Tape& tape = recorder->begin(Call::hello, self, now);
  tape.in(carrier);
  tape.in(policy);
  tape.in(request);
  LinkRegistry::Decision decision = real_hello(self, now, carrier, client, std::move(request));
  recorder->decision(*self, decision);
  put_registry(tape, *self);
  return decision;
}

using Decisions = std::vector<std::pair<CarrierId, LinkRegistry::Decision>>;

WRAPPED(Decisions, poll, REGISTRY_POLL, LinkRegistry* self, Time now) {
  Recorder* recorder = recorder_of(self);
  Recorder::Inside inside;
  if (recorder == nullptr) return real_poll(self, now);
  Tape& tape = recorder->begin(Call::poll, self, now);
  Decisions decisions = real_poll(self, now);
  tape.out("decisions", decisions.size());
  for (const auto& [carrier, decision] : decisions) {
    tape.out("carrier", carrier.value);
    recorder->decision(*self, decision);
  }
  put_registry(tape, *self);
  return decisions;
}

WRAPPED(void, carrier_gone, REGISTRY_CARRIER_GONE, LinkRegistry* self, CarrierId carrier) {
  Recorder* recorder = recorder_of(self);
  if (recorder != nullptr) recorder->begin(Call::carrier_gone, self).in(carrier);
  Recorder::Inside inside;
  real_carrier_gone(self, carrier);
}

WRAPPED(std::vector<Link*>, take_touched, REGISTRY_TAKE_TOUCHED, LinkRegistry* self) {
  Recorder* recorder = recorder_of(self);
  Recorder::Inside inside;
  if (recorder == nullptr) return real_take_touched(self);
  Tape& tape = recorder->begin(Call::take_touched, self);
  std::vector<Link*> touched = real_take_touched(self);
  tape.out("touched links", touched.size());
  for (const Link* link : touched) tape.out("link", recorder->index_of(link));
  return touched;
}

WRAPPED(void, drain_registry, REGISTRY_DRAIN, LinkRegistry* self, Time now) {
  Recorder* recorder = recorder_of(self);
  if (recorder != nullptr) recorder->begin(Call::drain_registry, self, now);
  Recorder::Inside inside;
  real_drain_registry(self, now);
}

WRAPPED(void, remove, REGISTRY_REMOVE, LinkRegistry* self, const LinkId& id) {
  Recorder* recorder = recorder_of(self);
  if (recorder != nullptr) {
    LinkId copy = id;
    recorder->begin(Call::remove, self).in(copy);
  }
  Recorder::Inside inside;
  real_remove(self, id);
}

WRAPPED(void, process_gone, REGISTRY_PROCESS_GONE, LinkRegistry* self, Time now,
        const std::string& client, std::uint64_t start_id) {
  Recorder* recorder = recorder_of(self);
  Recorder::Inside inside;
  if (recorder == nullptr) return real_process_gone(self, now, client, start_id);
  std::string name = client;
  Tape& tape = recorder->begin(Call::process_gone, self, now);
  tape.in(name);
  tape.in(start_id);
  real_process_gone(self, now, client, start_id);
  put_registry(tape, *self);
}

}  // namespace holdfast::record
