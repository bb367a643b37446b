// Remedies: what a person can do about an error of the system, to be added to a message. Each
// begins with "; " and is empty where there is nothing to say.
#pragma once

#include <string>

namespace holdfast {

// bind(2) or listen(2) failed with this errno, on a TCP address or a Unix socket's path.
std::string tcp_listen_remedy(int error);
std::string unix_listen_remedy(int error);

// A file could not be opened for writing.
std::string write_remedy(int error);

}  // namespace holdfast
