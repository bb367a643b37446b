# Packages, by CPack; each holds both agents. The Debian package: `scripts/package` builds it, of programs that use
# Debian's libraries; maintainer scripts and their reasons are in packaging/debian. The RPM: `scripts/release`
# builds it, of a static build, so that it suits every distribution of RPM with systemd.
set(CPACK_GENERATOR DEB)
if(HOLDFAST_STATIC)
  set(CPACK_GENERATOR RPM)
endif()
set(CPACK_PACKAGE_NAME holdfast)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_VENDOR "The Holdfast authors")  # CPack's own is "Humanity"
# A placeholder, of a domain that can never exist (RFC 2606): who gives packages to others says who.
set(HOLDFAST_MAINTAINER "Holdfast maintainers <maintainers@holdfast.invalid>" CACHE STRING
    "Who answers for the package: Maintainer in its control file, and in its changelog")
set(CPACK_PACKAGE_CONTACT "${HOLDFAST_MAINTAINER}")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "TCP connections that outlive the network between two hosts")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"A pair of transparent TCP proxy daemons with a resumable link between them.
holdfast-client runs beside applications, holdfast-server beside services.
When the network between the two fails, both keep their connections open and
queue what is written; when it is back, every byte arrives once and in order.

This package has both agents, their systemd units and their manuals. Nothing
is started until it has a configuration.")
if(HOLDFAST_STATIC)
  set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_SOURCE_DIR}/packaging/rpm/stripped.cmake)
  set(CPACK_HOLDFAST_STRIPPED ${CMAKE_BINARY_DIR})
endif()
# Debug symbols apart: a package of their own, which needs what is packaged to be unstripped so far.
set(CPACK_DEBIAN_DEBUGINFO_PACKAGE ON)
# Paths are those of the target: /etc beside /usr.
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX ${CMAKE_INSTALL_PREFIX})

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
if(CMAKE_CROSSCOMPILING)
  set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE $ENV{DEB_HOST_ARCH})  # scripts/package --for
endif()
set(CPACK_OBJCOPY_EXECUTABLE ${CMAKE_OBJCOPY})
set(CPACK_OBJDUMP_EXECUTABLE ${CMAKE_OBJDUMP})
set(CPACK_READELF_EXECUTABLE ${CMAKE_READELF})
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# For the user that the agents run as.
set(CPACK_DEBIAN_PACKAGE_DEPENDS "systemd | systemd-standalone-sysusers | systemd-sysusers")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "logrotate, prometheus")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(scripts ${CMAKE_SOURCE_DIR}/packaging/debian)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
    ${scripts}/postinst ${scripts}/prerm ${scripts}/postrm ${scripts}/conffiles)

configure_file(${scripts}/changelog ${CMAKE_BINARY_DIR}/debian/changelog @ONLY)
add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/changelog.gz DEPENDS ${CMAKE_BINARY_DIR}/debian/changelog
  COMMAND gzip -9nc ${CMAKE_BINARY_DIR}/debian/changelog > ${CMAKE_BINARY_DIR}/changelog.gz VERBATIM)
add_custom_target(changelog ALL DEPENDS ${CMAKE_BINARY_DIR}/changelog.gz)
install(FILES ${CMAKE_BINARY_DIR}/changelog.gz DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/holdfast)

set(CPACK_RPM_FILE_NAME RPM-DEFAULT)
set(CPACK_RPM_PACKAGE_LICENSE Apache-2.0)
set(CPACK_RPM_PACKAGE_GROUP "System Environment/Daemons")
set(CPACK_RPM_PACKAGE_DESCRIPTION "${CPACK_DEBIAN_PACKAGE_DESCRIPTION}")
set(CPACK_PACKAGE_RELOCATABLE OFF)
set(CPACK_RPM_PACKAGE_RELOCATABLE OFF)
set(CPACK_RPM_PACKAGE_AUTOREQPROV OFF)  # it needs no library
set(CPACK_RPM_PACKAGE_REQUIRES "systemd")
set(CPACK_RPM_PACKAGE_REQUIRES_POST "systemd")
# Bytes that depend on the source only.
set(CPACK_RPM_SPEC_MORE_DEFINE "%define _buildhost reproducible
%define use_source_date_epoch_as_buildtime 1
%define clamp_mtime_to_source_date_epoch 1
%define _build_id_links none
Packager: ${HOLDFAST_MAINTAINER}
%define __os_install_post %{nil}")
set(CPACK_RPM_EXCLUDE_FROM_AUTO_FILELIST_ADDITION /etc /etc/logrotate.d /usr/lib/systemd /usr/lib/systemd/system
    /usr/lib/sysusers.d /usr/share/bash-completion /usr/share/bash-completion/completions /usr/share/fish
    /usr/share/fish/vendor_completions.d /usr/share/zsh /usr/share/zsh/site-functions /usr/share/man
    /usr/share/man/man5 /usr/share/man/man7 /usr/share/man/man8)
# The folder's group is made, and given, in packaging/rpm/post.
set(CPACK_RPM_USER_FILELIST "%config(noreplace) /etc/logrotate.d/holdfast"
    "%dir %verify(not group) %attr(0750, root, root) /etc/holdfast")
set(CPACK_RPM_POST_INSTALL_SCRIPT_FILE ${CMAKE_SOURCE_DIR}/packaging/rpm/post)
set(CPACK_RPM_PRE_UNINSTALL_SCRIPT_FILE ${CMAKE_SOURCE_DIR}/packaging/rpm/preun)
set(CPACK_RPM_POST_UNINSTALL_SCRIPT_FILE ${CMAKE_SOURCE_DIR}/packaging/rpm/postun)
configure_file(${CMAKE_SOURCE_DIR}/packaging/rpm/changelog ${CMAKE_BINARY_DIR}/rpm/changelog @ONLY)
set(CPACK_RPM_CHANGELOG_FILE ${CMAKE_BINARY_DIR}/rpm/changelog)
include(CPack)
