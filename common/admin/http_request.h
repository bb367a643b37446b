// What must be known of an HTTP/1.1 request before a library reads it: where it ends, what it asks
// for. Pure functions on text that a stranger sent.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "common/admin/http_server.h"

namespace holdfast {

// The size of the request at the beginning of `text`, head and body; nothing while the head is not
// whole. A body is as long as Content-Length says, and none where it says nothing that is a number.
std::optional<std::size_t> request_size(std::string_view text);

// "/status" of "GET /status?top=3 HTTP/1.1 ...", "" of what is no request line.
std::string_view request_path(std::string_view text);

// "a b" of "a%20b"; what is no escape stays as it is.
std::string percent_decoded(std::string_view text);

// Adds the parts of "a=1&b=x+y"; of several with one name the first counts.
void add_parameters(std::string_view query, HttpParameters& parameters);

}  // namespace holdfast
