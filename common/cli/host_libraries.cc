#include "common/cli/host_libraries.h"

#if HOLDFAST_STATIC
#include <nss.h>
#include <openssl/crypto.h>

#include <initializer_list>

#include "common/base/check.h"
#endif

namespace holdfast {

void keep_host_libraries_out() {
#if HOLDFAST_STATIC
  for (const char* users : {"passwd", "group", "initgroups", "services"}) {
    HOLDFAST_CHECK(__nss_configure_lookup(users, "files") == 0);
  }
  HOLDFAST_CHECK(__nss_configure_lookup("hosts", "files dns") == 0);
  HOLDFAST_CHECK(OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr) == 1);
#endif
}

}  // namespace holdfast
