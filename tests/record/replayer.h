// Replayer: makes the Links of one seed's record anew, says to them what was said then, and
// compares what they answer. No simulator, no sockets: a record, and the core.
#pragma once

#include <cstdio>
#include <memory>
#include <optional>

#include "common/core/link_registry.h"
#include "tests/record/payload.h"
#include "tests/record/tape.h"

namespace holdfast::record {

class Replayer {
 public:
  // `record` must outlive it. With `print` every call is written there, a line each, with what it
  // was given and what it answers now: two of them, of two commits, are for diff(1).
  explicit Replayer(SeedRecord& record, std::FILE* print = nullptr);
  ~Replayer();

  // Nothing where all of it went as recorded.
  std::optional<Divergence> run();
  // Where it is now; for one that aborts.
  Divergence position(std::string what) const;

 private:
  struct Object;
  class Quota;

  void step();
  void call_registry(Object& object);
  void call_link(Object& object);
  void call_stream(Object& object);
  void make_link();
  void make_registry();
  MemoryPool& read_pool();
  Object* object();
  void add_link(Link& link);
  void read_decision(const LinkRegistry::Decision& decision);
  std::uint64_t index_of(const Link& link) const;

  void carrier_bytes(Object& object);
  void prepare(Object& object);
  void commit(Object& object);
  void queued(Object& object);
  void poll_effect(Object& object);
  void poll_transmit(Object& object);

  template <typename T>
  T read() {
    T value{};
    tape_.in(value);
    return value;
  }

  Tape tape_;
  Call call_{};
  std::uint64_t index_ = 0;
  Time now_{};
  // In this order, so that links go before their memory.
  std::vector<std::unique_ptr<MemoryPool>> pools_;
  std::vector<std::unique_ptr<Quota>> quotas_;
  std::vector<std::unique_ptr<Object>> objects_;
  Wires wires_;
  Payload payload_;
};

}  // namespace holdfast::record
