#include "tests/record/values.h"

namespace holdfast::record {

void fields(Tape& tape, Endpoint& value) {
  tape.in(value.family);
  std::vector<std::uint8_t> address(value.address.begin(), value.address.end());
  tape.bytes(address);
  if (address.size() == value.address.size()) {
    std::copy(address.begin(), address.end(), value.address.begin());
  }
  tape.in(value.port);
}

void fields(Tape& tape, LinkService& value) {
  tape.in(value.name);
  tape.in(value.grace);
  tape.in(value.offered);
  tape.in(value.by_destination);
}

// `trace` is left out: a replay has none.
void fields(Tape& tape, LinkOptions& value) {
  tape.in(value.role);
  tape.in(value.name);
  tape.in(value.services);
  tape.in(value.heartbeat);
  tape.in(value.dead_after);
  tape.in(value.handshake_timeout);
  tape.in(value.grace);
  tape.in(value.announce_liveness);
  tape.in(value.open_timeout);
  tape.in(value.max_window);
  tape.in(value.max_streams);
  tape.in(value.memory_cap);
  tape.in(value.slot);
  tape.in(value.start_id);
  tape.in(value.first_ordinal);
}

void fields(Tape& tape, PathReport& value) {
  tape.in(value.acked);
  tape.in(value.queued);
  tape.in(value.arrived);
  tape.in(value.received);
  tape.in(value.received_ago);
  tape.in(value.ack_time);
  tape.in(value.least_round_trip);
  tape.in(value.segment);
  tape.in(value.timeouts);
  tape.in(value.beside);
}

void fields(Tape& tape, OpenRequest& value) {
  tape.in(value.service);
  tape.in(value.source);
  tape.in(value.destination);
}

void fields(Tape& tape, Hello& value) {
  tape.in(value.version_min);
  tape.in(value.version_max);
  tape.in(value.link);
  tape.in(value.instance);
  tape.in(value.attempt);
  tape.in(value.name);
  tape.in(value.slot);
  tape.in(value.start_id);
  tape.in(value.ordinal);
  tape.in(value.features);
}

void fields(Tape& tape, TableEntry& value) {
  tape.in(value.id);
  tape.in(value.received);
  tape.in(value.delivered);
  tape.in(value.limit);
  tape.in(value.opened);
}

void fields(Tape& tape, HelloRequest& value) {
  tape.in(value.hello);
  tape.in(value.highest);
  tape.in(value.table);
}

void fields(Tape& tape, ClientPolicy& value) {
  tape.in(value.name);
  tape.in(value.services);
  tape.in(value.max_links);
  tape.in(value.max_streams);
  tape.in(value.memory_cap);
}

void fields(Tape& tape, RegistryOptions& value) {
  tape.in(value.server_name);
  tape.in(value.link);
}

}  // namespace holdfast::record
