// Text without its secrets.
#pragma once

#include <string>
#include <string_view>

namespace holdfast {

// In place of each key there is "<redacted>": a run of 48 hexadecimal digits and more (a pre-shared
// key has 64, the ids of links and keys have 32), and whatever stands between the first BEGIN and
// the END of a private key in PEM form, or the text's end.
std::string redacted(std::string_view text);

}  // namespace holdfast
