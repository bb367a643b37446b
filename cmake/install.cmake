# What `cmake --install` puts where, below the prefix. Man pages are made where scdoc is found.
#
# Programs, units and the system user go where systemd looks for them under /usr and /usr/local.
# /etc/holdfast (empty) and the logrotate file are absolute paths and come only with those two
# prefixes: any other folder is for looking at.
include(GNUInstallDirs)

# All that is installed.
add_custom_target(agents DEPENDS holdfast-client holdfast-server)

install(TARGETS holdfast-client holdfast-server RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

set(docdir ${CMAKE_INSTALL_DATADIR}/doc/holdfast)

# Units name the programs by their path, which depends on the prefix, known only at the installation.
install(CODE "set(holdfast_config \"${CMAKE_SOURCE_DIR}/config\")
set(holdfast_units \"${CMAKE_BINARY_DIR}/units\")
set(holdfast_bindir \"${CMAKE_INSTALL_BINDIR}\")
set(holdfast_docdir \"${docdir}\")
set(holdfast_systemd ${HOLDFAST_SYSTEMD})")
install(CODE [[
  cmake_path(ABSOLUTE_PATH holdfast_bindir BASE_DIRECTORY "${CMAKE_INSTALL_PREFIX}")
  # As systemd.unit(5) and systemd.service(5) have it.
  string(REPLACE "%" "%%" holdfast_bindir "${holdfast_bindir}")
  string(REPLACE " " "\\x20" holdfast_bindir "${holdfast_bindir}")
  file(REMOVE_RECURSE "${holdfast_units}")
  file(GLOB units "${holdfast_config}/systemd/*.service")
  foreach(unit IN LISTS units)
    get_filename_component(name "${unit}" NAME)
    file(READ "${unit}" text)
    string(REPLACE "/usr/bin/holdfast" "${holdfast_bindir}/holdfast" text "${text}")
    if(NOT holdfast_systemd)
      # Agents without libsystemd do not tell that they are ready, nor that they still turn.
      string(REGEX REPLACE "# Ready means[^\n]*\nType=notify\n# [^\n]*\nNotifyAccess=all\n" "Type=exec\n" text "${text}")
      string(REGEX REPLACE "# At a restart[^\n]*\nExecStop=[^\n]*\nFileDescriptorStoreMax=[^\n]*\n" "" text "${text}")
      string(REGEX REPLACE "# The agent pings[^\n]*\n# [^\n]*\nWatchdogSec=[^\n]*\n" "" text "${text}")
      if(text MATCHES "Type=notify|NotifyAccess|Watchdog|ExecStop|DescriptorStore")
        message(FATAL_ERROR "${unit}: it still waits to be told")
      endif()
    endif()
    file(WRITE "${holdfast_units}/${name}" "${text}")
    file(INSTALL "${holdfast_units}/${name}" DESTINATION "${CMAKE_INSTALL_PREFIX}/lib/systemd/system")
  endforeach()
  # What of the examples names a program likewise; sockets are for agents that systemd can hand one.
  file(GLOB examples "${holdfast_config}/systemd/examples/*")
  foreach(example IN LISTS examples)
    if(example MATCHES "\\.socket$" AND NOT holdfast_systemd)
      continue()
    endif()
    get_filename_component(name "${example}" NAME)
    file(READ "${example}" text)
    string(REPLACE "/usr/bin/holdfast" "${holdfast_bindir}/holdfast" text "${text}")
    file(WRITE "${holdfast_units}/examples/${name}" "${text}")
    file(INSTALL "${holdfast_units}/examples/${name}" DESTINATION "${CMAKE_INSTALL_PREFIX}/${holdfast_docdir}/examples/systemd")
  endforeach()
  if(CMAKE_INSTALL_PREFIX MATCHES "^/usr(/local)?/?$")
    file(INSTALL DESTINATION "/etc/holdfast" TYPE DIRECTORY FILES "")
    file(INSTALL "${holdfast_config}/logrotate/holdfast" DESTINATION "/etc/logrotate.d")
  endif()
]])
install(FILES config/sysusers.d/holdfast.conf DESTINATION lib/sysusers.d)

install(FILES config/completions/holdfast.bash
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME holdfast-client)
install(FILES config/completions/holdfast.bash
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME holdfast-server)
# Where zsh looks by itself; Debian keeps that below /usr/local for the administrator, and has another for packages.
set(zsh_folder site-functions)
if(HOLDFAST_PACKAGE AND NOT HOLDFAST_STATIC)
  set(zsh_folder vendor-completions)
endif()
install(FILES config/completions/_holdfast DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/${zsh_folder})
install(FILES config/completions/holdfast.fish
        DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d RENAME holdfast-client.fish)
install(FILES config/completions/holdfast.fish
        DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d RENAME holdfast-server.fish)

install(FILES packaging/debian/copyright DESTINATION ${docdir})
if(HOLDFAST_STATIC OR NOT HOLDFAST_PACKAGE)
  install(FILES LICENSE DESTINATION ${docdir})  # Debian has it in a place of its own
endif()
install(FILES docs/SECURITY.md DESTINATION ${docdir})
install(DIRECTORY docs/guide DESTINATION ${docdir})
install(PROGRAMS scripts/make-certs DESTINATION ${docdir}/examples)
install(FILES config/client.toml config/server.toml DESTINATION ${docdir}/examples)
install(DIRECTORY config/quickstart config/balancer config/grafana config/prometheus DESTINATION ${docdir}/examples)

find_program(HOLDFAST_SCDOC scdoc)
if(HOLDFAST_SCDOC)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/docs/man/*.scd)
  set(pages "")
  foreach(source IN LISTS sources)
    get_filename_component(page ${source} NAME_WLE)
    string(REGEX REPLACE ".*\\." "" section ${page})
    set(target ${CMAKE_BINARY_DIR}/man/${page})
    set(finish "")
    if(HOLDFAST_PACKAGE)
      set(finish && gzip -9nf ${page})
      string(APPEND target .gz)
    endif()
    add_custom_command(OUTPUT ${target} DEPENDS ${source}
      COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/man
      COMMAND cd ${CMAKE_BINARY_DIR}/man && ${HOLDFAST_SCDOC} < ${source} > ${page} ${finish}
      VERBATIM)
    install(FILES ${target} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
    list(APPEND pages ${target})
  endforeach()
  add_custom_target(man ALL DEPENDS ${pages})
  add_dependencies(agents man)
elseif(HOLDFAST_PACKAGE)
  message(FATAL_ERROR "The package needs its man pages: please install scdoc")
endif()
