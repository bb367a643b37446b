// What balancers and scanners say to a port to see whether somebody listens there.
#pragma once

#include "common/base/bytes.h"

namespace holdfast {

// The first bytes of a connection are no client agent's: nothing at all, an HTTP request, a hello
// of SSL 2 or 3. (A hello of TLS may be a client's: whether it is, its handshake tells.)
bool begins_like_a_check(Bytes first);
// The same where a PROXY header should stand: a hello of TLS is none either.
bool is_check_without_header(Bytes first);

}  // namespace holdfast
