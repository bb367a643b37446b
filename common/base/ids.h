// Strong types for the numbers that must not be mixed up.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace holdfast {

// One tunnelled connection within its link. The client counts up from 1; never reused.
struct StreamId {
  std::uint64_t value = 0;
  auto operator<=>(const StreamId&) const = default;
};

// One socket that carries (or may carry) a link, within its process. Never reused; 0 is none.
struct CarrierId {
  std::uint64_t value = 0;
  auto operator<=>(const CarrierId&) const = default;
};

// A link's identity: 128 random bits, drawn by the client.
struct LinkId {
  std::array<std::uint8_t, 16> bytes{};
  auto operator<=>(const LinkId&) const = default;

  // 32 hexadecimal digits, lower case.
  std::string to_string() const;
  // The first eight of them: what logs and people use.
  std::string short_name() const { return to_string().substr(0, 8); }
};

// By which connections are marked (docs/PROTOCOL.md, ORIGIN); zeros: none is to be.
using MarkKey = std::array<std::uint8_t, 16>;

// The id of one connection as people see it, the same at both ends: "3fa9c1d2-17".
std::string connection_name(const LinkId& link, StreamId stream);

// What connection_name() made, read back.
struct ConnectionName {
  std::string link;  // LinkId::short_name()
  StreamId stream;
};
std::optional<ConnectionName> parse_connection(std::string_view name);

}  // namespace holdfast

template <>
struct std::hash<holdfast::StreamId> {
  std::size_t operator()(holdfast::StreamId id) const noexcept {
    return static_cast<std::size_t>(id.value * 0x9e3779b97f4a7c15U);
  }
};
template <>
struct std::hash<holdfast::CarrierId> {
  std::size_t operator()(holdfast::CarrierId id) const noexcept {
    return static_cast<std::size_t>(id.value * 0x9e3779b97f4a7c15U);
  }
};
template <>
struct std::hash<holdfast::LinkId> {
  std::size_t operator()(const holdfast::LinkId& id) const noexcept {
    std::size_t h = 0;
    for (std::uint8_t b : id.bytes) h = h * 131 + b;
    return h;
  }
};
