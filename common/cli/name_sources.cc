#include "common/cli/name_sources.h"

#if HOLDFAST_STATIC
#include <nss.h>

#include <initializer_list>

#include "common/base/check.h"
#endif

namespace holdfast {

void keep_name_sources_inside() {
#if HOLDFAST_STATIC
  for (const char* users : {"passwd", "group", "initgroups", "services"}) {
    HOLDFAST_CHECK(__nss_configure_lookup(users, "files") == 0);
  }
  HOLDFAST_CHECK(__nss_configure_lookup("hosts", "files dns") == 0);
#endif
}

}  // namespace holdfast
