// What a program would load of the host it runs on, without being linked with it.
#pragma once

namespace holdfast {

// In a static build nothing: shared libraries of this host are made for another glibc than the one
// inside, and a program whose libnss_systemd came that way crashed. Users and hosts are looked up
// in files and by DNS, whatever nsswitch.conf(5) names besides, and openssl.cnf, which may name
// providers, is not read. Before the first look-up and any use of OpenSSL, once. Else nothing
// happens.
void keep_host_libraries_out();

}  // namespace holdfast
