// Where glibc looks up users and hosts.
#pragma once

namespace holdfast {

// In a static build: in files and by DNS, whatever nsswitch.conf(5) names besides. glibc would load
// other sources from this host's shared libraries, made for another glibc than the one inside: a
// program whose libnss_systemd came that way crashed. Before the first look-up, once. Else nothing.
void keep_name_sources_inside();

}  // namespace holdfast
