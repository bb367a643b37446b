// Percent-encoding (RFC 3986, section 2.1).
#pragma once

#include <string>
#include <string_view>

namespace holdfast {

// For a value in a query string: all but letters, digits and "-._~" becomes %XX.
std::string percent_encoded(std::string_view text);

}  // namespace holdfast
