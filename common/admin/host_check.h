// Whom a browser believes to be talking to (the Host header): a page of somebody else's whose name
// was made to lead here (DNS rebinding) must not read what is shown.
#pragma once

#include <string>
#include <string_view>

namespace holdfast {

// Empty when `host` ("127.0.0.1:9465", "[::1]:9465", "edge-1") can be nobody else's: a literal
// address, a name without a dot, localhost, this machine's own name, or `own` (as configured).
// Else why not, and what to do, in one line.
std::string why_not_this_host(std::string_view host, std::string_view own);

// gethostname(2); empty if there is none.
std::string machine_name();

}  // namespace holdfast
