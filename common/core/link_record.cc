#include "common/core/link_record.h"

#include <cstring>

#include "common/base/crc32.h"
#include "common/base/store_order.h"
#include "common/wire/coding.h"

namespace holdfast {
namespace {

// All but names of services.
constexpr std::size_t kFixed = 16 + 6 * 8 + 3 * 8 + 2 * 4 + 4 * 256 + 4;

void encode(Writer& out, const LinkFacts& facts) {
  out.bytes(facts.id.bytes);
  for (std::uint64_t each :
       {facts.instance, facts.attempt, facts.ordinal, facts.start_id, facts.initial_credit}) {
    out.integer(each);
  }
  for (Duration each : {facts.grace, facts.heartbeat, facts.dead_after}) out.integer(each.count());
  out.integer(facts.slot);
  out.integer(facts.peer_max_streams);
  out.short_text(facts.client);
  out.short_text(facts.server);
  out.short_text(facts.home_name);
  out.short_text(facts.home_address);
  out.integer(static_cast<std::uint32_t>(facts.services.size()));
  for (const ServiceFact& service : facts.services) {
    out.short_text(service.name);
    out.integer(service.grace.count());
    out.integer(static_cast<std::uint8_t>(service.by_destination));
  }
}

std::optional<LinkFacts> decode(Bytes bytes) {
  Reader in(bytes);
  LinkFacts facts;
  Bytes id = in.bytes(facts.id.bytes.size());
  if (!id.empty()) std::memcpy(facts.id.bytes.data(), id.data(), id.size());
  for (std::uint64_t* each :
       {&facts.instance, &facts.attempt, &facts.ordinal, &facts.start_id, &facts.initial_credit}) {
    *each = in.integer<std::uint64_t>();
  }
  for (Duration* each : {&facts.grace, &facts.heartbeat, &facts.dead_after}) {
    *each = Duration(in.integer<std::int64_t>());
  }
  facts.slot = in.integer<std::uint32_t>();
  facts.peer_max_streams = in.integer<std::uint32_t>();
  facts.client = in.short_text();
  facts.server = in.short_text();
  facts.home_name = in.short_text();
  facts.home_address = in.short_text();
  auto services = in.integer<std::uint32_t>();
  for (std::uint32_t i = 0; i < services && !in.failed(); ++i) {
    ServiceFact service;
    service.name = in.short_text();
    service.grace = Duration(in.integer<std::int64_t>());
    service.by_destination = in.integer<std::uint8_t>() != 0;
    facts.services.push_back(std::move(service));
  }
  if (!in.complete()) return std::nullopt;
  return facts;
}

// Where `size` bytes lie clear of the copy.
std::uint32_t place_beside(const LinkRecord::Copy& copy, std::size_t size) {
  return copy.number == 0 || copy.at >= size ? 0 : copy.at + copy.size;
}

}  // namespace

void LinkRecord::clear() {
  life = Life::none;
  keep_store_order();
  draining = false;
  attempt = 0;
  highest = {};
  detached_since = {};
  facts[0].number = facts[1].number = 0;
}

bool LinkRecord::write(const LinkFacts& wanted) {
  std::size_t size = kFixed;
  for (const ServiceFact& service : wanted.services) size += 10 + service.name.size();
  if (size > kFactsSize) {
    life = Life::none;
    return false;
  }
  bool first_is_newer = facts[0].number > facts[1].number;
  const Copy& other = facts[first_is_newer ? 0 : 1];
  Copy& copy = facts[first_is_newer ? 1 : 0];
  copy.number = 0;
  keep_store_order();
  copy.at = place_beside(other, size);
  Writer out(MutableBytes(bytes).subspan(copy.at, size));
  encode(out, wanted);
  copy.size = static_cast<std::uint32_t>(out.size());
  copy.checksum = crc32(Bytes(bytes).subspan(copy.at, copy.size));
  keep_store_order();
  copy.number = other.number + 1;
  return true;
}

std::optional<Bytes> LinkRecord::whole(const Copy& copy) const {
  if (copy.number == 0 || copy.at > bytes.size() || copy.size > bytes.size() - copy.at) {
    return std::nullopt;
  }
  Bytes found = Bytes(bytes).subspan(copy.at, copy.size);
  if (crc32(found) != copy.checksum) return std::nullopt;
  return found;
}

std::optional<LinkFacts> LinkRecord::read() const {
  const Copy* newer = &facts[0];
  const Copy* older = &facts[1];
  if (older->number > newer->number) std::swap(newer, older);
  for (const Copy* copy : {newer, older}) {
    std::optional<Bytes> kept = whole(*copy);
    if (!kept) continue;
    if (auto found = decode(*kept)) return found;
  }
  return std::nullopt;
}

}  // namespace holdfast
