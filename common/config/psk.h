// Pre-shared keys: who a client is, and the proof of it.
//
// A psk_file holds one line of text, as `genpsk` prints it: ID:KEY, with ID 32 hexadecimal digits
// (lower case; what travels on the wire) and KEY 64. Who may read it: files.h. What held a
// key is overwritten before it is given back.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/config/problem.h"

namespace holdfast {

struct Psk {
  std::string id;
  std::array<std::uint8_t, 32> key{};

  Psk() = default;
  Psk(const Psk&) = default;
  Psk(Psk&& other) noexcept;
  Psk& operator=(const Psk&) = default;
  Psk& operator=(Psk&& other) noexcept;
  ~Psk();  // overwrites the key
};

// Reads ID:KEY, with or without one line end. The error never repeats any of the text.
Result<Psk> parse_psk(std::string_view text);

// One line without its end. The string holds the key: wipe() it after use.
std::string format_psk(const Psk& psk);

// A new one from the kernel's random numbers (getrandom(2)).
Result<Psk> generate_psk();

// Overwrites the text, then empties it.
void wipe(std::string& text);

// Why a file could not be used.
struct FileFault {
  ProblemKind kind = ProblemKind::config;
  std::string reason;
  std::string hint;
};

struct LoadedPsk {
  std::optional<Psk> psk;
  FileFault fault;  // meaningful when there is no psk
};

// `path` is a file's, or credential:NAME for a file in $CREDENTIALS_DIRECTORY (systemd.exec(5)).
// Refused: what is not a regular file, what group or others may read, what parse_psk refuses.
LoadedPsk load_psk_file(const std::string& path);

}  // namespace holdfast
