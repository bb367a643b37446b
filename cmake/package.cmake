# The Debian package, by CPack: `scripts/package` builds it. One package holds both agents.
# Maintainer scripts and their reasons are in packaging/debian.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME holdfast)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
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
set(CPACK_STRIP_FILES ON)
# Paths are those of the target: /etc beside /usr.
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX ${CMAKE_INSTALL_PREFIX})

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
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
include(CPack)
