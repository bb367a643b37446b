// HELLO and WELCOME: fixed fields, then type-length-value parameters.
#include <algorithm>

#include "common/wire/coding.h"
#include "common/wire/frame_buffer.h"
#include "common/wire/frames.h"
#include "common/wire/parameters.h"

namespace holdfast {
namespace {

Bytes as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

template <typename T>
void put_parameter(Buffer& out, Parameter type, T value) {
  put(out, static_cast<std::uint16_t>(type));
  put(out, static_cast<std::uint16_t>(sizeof(T)));
  put(out, value);
}

void put_parameter(Buffer& out, Parameter type, std::string_view text) {
  put(out, static_cast<std::uint16_t>(type));
  put(out, static_cast<std::uint16_t>(text.size()));
  put_bytes(out, as_bytes(text));
}

void put_duration(Buffer& out, Parameter type, Duration value) {
  put_parameter(out, type, static_cast<std::uint64_t>(value.count()));
}

// Durations travel in microseconds; ten years is more than any of them means.
constexpr std::uint64_t kMaxDurationUs = UINT64_C(10) * 366 * 86400 * 1000000;

// One parameter's value, read with the type it must have.
struct Value {
  Bytes bytes;
  template <typename T>
  bool read(T& into) const {
    if (bytes.size() != sizeof(T)) return false;
    into = load_big_endian<T>(bytes.data());
    return true;
  }
  bool read(Duration& into) const {
    std::uint64_t microseconds_count = 0;
    if (!read(microseconds_count) || microseconds_count > kMaxDurationUs) return false;
    into = Duration(static_cast<std::int64_t>(microseconds_count));
    return true;
  }
  bool read(MarkKey& into) const {
    if (bytes.size() != into.size()) return false;
    std::copy(bytes.begin(), bytes.end(), into.begin());
    return true;
  }
  bool read_name(std::string& into, std::size_t most) const {
    if (bytes.empty() || bytes.size() > most) return false;
    into.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return true;
  }
};

// Hands every parameter to `take(type, value)`, which says whether it was good; unknown odd ones
// are skipped. Gives the reason for the first that was not.
template <typename Take>
std::string read_parameters(Reader& reader, Take take) {
  while (!reader.rest().empty()) {
    auto type = reader.integer<std::uint16_t>();
    auto length = reader.integer<std::uint16_t>();
    Value value{reader.bytes(length)};
    if (reader.failed()) return "parameter cut short";
    if (!take(static_cast<Parameter>(type), value)) {
      if (type % 2 != 0) continue;
      std::string_view name = to_string(static_cast<Parameter>(type));
      return name.empty() ? "unknown mandatory parameter " + std::to_string(type)
                          : "bad value of parameter " + std::string(name);
    }
  }
  return {};
}

bool take_hello_parameter(Hello& hello, Parameter type, const Value& value) {
  switch (type) {
    case Parameter::features:
      return value.read(hello.features);
    case Parameter::name:
      return value.read_name(hello.name, kMaxNameSize) && valid_name(hello.name);
    case Parameter::slot:
      return value.read(hello.slot);
    case Parameter::start_id:
      return value.read(hello.start_id);
    case Parameter::ordinal:
      return value.read(hello.ordinal);
    case Parameter::mark_key:
      return value.read(hello.mark_key);
    default:
      return false;
  }
}

bool take_service_grace(Welcome& welcome, const Value& value) {
  Reader reader(value.bytes);
  ServiceGrace service;
  auto microseconds_count = reader.integer<std::uint64_t>();
  Bytes name = reader.rest();
  if (reader.failed() || microseconds_count > kMaxDurationUs) return false;
  service.grace = Duration(static_cast<std::int64_t>(microseconds_count));
  service.service.assign(reinterpret_cast<const char*>(name.data()), name.size());
  if (!valid_name(service.service) || welcome.services.size() == kMaxServiceGraces) return false;
  welcome.services.push_back(std::move(service));
  return true;
}

// Flags of the list of grants.
constexpr std::uint8_t kGrantsWhole = 1;
constexpr std::uint8_t kGrantsDestinations = 2;

void put_grants(Buffer& out, std::size_t frame_begin, const ServiceGrants& grants) {
  put(out, static_cast<std::uint16_t>(Parameter::grants));
  std::size_t begin = out.size() + 2;
  put(out, std::uint16_t{0});
  put(out, std::uint8_t{0});
  bool whole = grants.whole;
  for (const ServiceGrace& each : grants.services) {
    std::size_t size = sizeof(std::uint64_t) + 1 + each.service.size();
    if (out.size() - frame_begin + size > kMaxControlPayload) {
      whole = false;
      break;
    }
    put(out, static_cast<std::uint64_t>(each.grace.count()));
    put(out, static_cast<std::uint8_t>(each.service.size()));
    put_bytes(out, as_bytes(each.service));
  }
  store_big_endian(&out[begin - 2], static_cast<std::uint16_t>(out.size() - begin));
  out[begin] = static_cast<std::uint8_t>((whole ? kGrantsWhole : 0) |
                                         (grants.destinations ? kGrantsDestinations : 0));
}

// Who cannot read it goes without: the parameter is one that may be skipped.
bool take_grants(Welcome& welcome, const Value& value) {
  Reader reader(value.bytes);
  ServiceGrants grants;
  auto flags = reader.integer<std::uint8_t>();
  grants.whole = (flags & kGrantsWhole) != 0;
  grants.destinations = (flags & kGrantsDestinations) != 0;
  while (!reader.failed() && !reader.rest().empty()) {
    auto grace_us = reader.integer<std::uint64_t>();
    std::string_view name = reader.short_text();
    if (reader.failed() || grace_us > kMaxDurationUs || !valid_name(name)) return false;
    grants.services.push_back({std::string(name), Duration(static_cast<std::int64_t>(grace_us))});
  }
  if (reader.failed()) return false;
  welcome.grants = std::move(grants);
  return true;
}

bool is_home_address(std::string_view text) {
  return parse_home_address(text).has_value();
}

// One that is not good is as if it had not come.
bool take_text(std::string& into, const Value& value, std::size_t most,
               bool (*good)(std::string_view)) {
  std::string text;
  if (!value.read_name(text, most) || !good(text)) return false;
  into = std::move(text);
  return true;
}

bool take_welcome_parameter(Welcome& welcome, Parameter type, const Value& value) {
  switch (type) {
    case Parameter::features:
      return value.read(welcome.features);
    case Parameter::name:
      return value.read_name(welcome.server, 255);
    case Parameter::retry_after:
      return value.read(welcome.retry_after);
    case Parameter::grace:
      return value.read(welcome.grace);
    case Parameter::heartbeat:
      return value.read(welcome.heartbeat);
    case Parameter::dead_after:
      return value.read(welcome.dead_after);
    case Parameter::max_streams:
      return value.read(welcome.max_streams);
    case Parameter::initial_credit:
      return value.read(welcome.initial_credit);
    case Parameter::service_grace:
      return take_service_grace(welcome, value);
    case Parameter::home:
      return take_text(welcome.home.name, value, kMaxDnsName, is_dns_name);
    case Parameter::home_address:
      return take_text(welcome.home.address, value, kMaxHomeAddress, is_home_address);
    case Parameter::grants:
      return take_grants(welcome, value);
    default:
      return false;
  }
}

}  // namespace

void encode_services_down(Buffer& out, const std::vector<std::string>& names) {
  std::size_t payload = begin_frame(out, FrameType::services_down);
  for (const std::string& name : names) {
    if (out.size() - payload + 1 + name.size() > kMaxControlPayload) break;
    put(out, static_cast<std::uint8_t>(name.size()));
    put_bytes(out, as_bytes(name));
  }
  end_frame(out, payload);
}

Result<ServicesDown> decode_services_down(Bytes payload) {
  Reader reader(payload);
  ServicesDown down;
  while (!reader.rest().empty()) {
    std::string_view name = reader.short_text();
    if (reader.failed() || !valid_name(name)) return bad("SERVICES_DOWN", "a name");
    down.names.push_back(name);
  }
  return down;
}

bool valid_name(std::string_view name) {
  if (name.empty() || name.size() > kMaxNameSize) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
  });
}

void encode_hello(Buffer& out, const Hello& hello) {
  std::size_t begin = begin_frame(out, FrameType::hello);
  put(out, kMagic);
  put(out, hello.version_min);
  put(out, hello.version_max);
  put_bytes(out, hello.link.bytes);
  put(out, hello.instance);
  put(out, hello.attempt);
  put_parameter(out, Parameter::name, std::string_view(hello.name));
  put_parameter(out, Parameter::slot, hello.slot);
  put_parameter(out, Parameter::start_id, hello.start_id);
  put_parameter(out, Parameter::ordinal, hello.ordinal);
  put_parameter(out, Parameter::features, hello.features);
  if (hello.mark_key != MarkKey{}) {
    put(out, static_cast<std::uint16_t>(Parameter::mark_key));
    put(out, static_cast<std::uint16_t>(hello.mark_key.size()));
    put_bytes(out, hello.mark_key);
  }
  end_frame(out, begin);
}

Result<Hello> decode_hello(Bytes payload) {
  Reader reader(payload);
  Hello hello;
  if (reader.integer<std::uint32_t>() != kMagic) return bad("HELLO", "not a Holdfast client");
  hello.version_min = reader.integer<std::uint16_t>();
  hello.version_max = reader.integer<std::uint16_t>();
  Bytes link = reader.bytes(hello.link.bytes.size());
  hello.instance = reader.integer<std::uint64_t>();
  hello.attempt = reader.integer<std::uint64_t>();
  if (reader.failed()) return bad("HELLO", "cut short");
  std::copy(link.begin(), link.end(), hello.link.bytes.begin());
  auto reason = read_parameters(reader, [&](Parameter type, const Value& value) {
    return take_hello_parameter(hello, type, value);
  });
  if (!reason.empty()) return bad("HELLO", reason);
  if (hello.name.empty()) return bad("HELLO", "no name");
  if (hello.attempt == 0) return bad("HELLO", "attempts count from 1");
  return hello;
}

void encode_welcome(Buffer& out, const Welcome& welcome) {
  std::size_t begin = begin_frame(out, FrameType::welcome);
  put(out, welcome.version);
  put(out, static_cast<std::uint8_t>(welcome.verdict));
  put(out, static_cast<std::uint16_t>(welcome.code));
  put(out, welcome.instance);
  put_parameter(out, Parameter::name, std::string_view(welcome.server));
  put_duration(out, Parameter::retry_after, welcome.retry_after);
  put_duration(out, Parameter::grace, welcome.grace);
  put_duration(out, Parameter::heartbeat, welcome.heartbeat);
  put_duration(out, Parameter::dead_after, welcome.dead_after);
  put_parameter(out, Parameter::max_streams, welcome.max_streams);
  put_parameter(out, Parameter::initial_credit, welcome.initial_credit);
  put_parameter(out, Parameter::features, welcome.features);
  HOLDFAST_CHECK(welcome.services.size() <= kMaxServiceGraces);
  for (const ServiceGrace& service : welcome.services) {
    put(out, static_cast<std::uint16_t>(Parameter::service_grace));
    put(out, static_cast<std::uint16_t>(sizeof(std::uint64_t) + service.service.size()));
    put(out, static_cast<std::uint64_t>(service.grace.count()));
    put_bytes(out, as_bytes(service.service));
  }
  if (!welcome.home.name.empty()) {
    put_parameter(out, Parameter::home, std::string_view(welcome.home.name));
  }
  if (!welcome.home.address.empty()) {
    put_parameter(out, Parameter::home_address, std::string_view(welcome.home.address));
  }
  if (welcome.grants) put_grants(out, begin, *welcome.grants);
  end_frame(out, begin);
}

Result<Welcome> decode_welcome(Bytes payload) {
  Reader reader(payload);
  Welcome welcome;
  welcome.version = reader.integer<std::uint16_t>();
  auto verdict = reader.integer<std::uint8_t>();
  welcome.code = cause_from_code(reader.integer<std::uint16_t>());
  welcome.instance = reader.integer<std::uint64_t>();
  if (reader.failed()) return bad("WELCOME", "cut short");
  if (verdict < 1 || verdict > 4) return bad("WELCOME", "unknown verdict");
  welcome.verdict = static_cast<Verdict>(verdict);
  auto reason = read_parameters(reader, [&](Parameter type, const Value& value) {
    return take_welcome_parameter(welcome, type, value);
  });
  if (!reason.empty()) return bad("WELCOME", reason);
  if (welcome.server.empty()) return bad("WELCOME", "no server name");
  return welcome;
}

}  // namespace holdfast
