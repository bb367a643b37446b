// Which of the server's services a client may have: told in WELCOME, kept by the client's link.
#pragma once

#include <vector>

#include "common/core/link_options.h"
#include "common/wire/frames.h"

namespace holdfast {

// Server: what WELCOME says of a link's services.
ServiceGrants grants_of(const std::vector<LinkService>& services);

// Client: notes in each of its `services` whether it is granted, and adds to `graces` what the
// server told. Nothing is known where it does not tell; what OPENs are answered with tells then.
void note_grants(const Welcome& welcome, std::vector<LinkService>& services,
                 std::vector<ServiceGrace>& graces);

}  // namespace holdfast
