# Run by CPack before it packs. Puts in the programs as scripts/build-static left them, the very bytes that the tarball,
# the images and the SBOM have, and what those whose libraries are in them want to be said, where scripts/release wrote it.
# Makes all of it new, so that rpm gives each file the release's time, and not that of this checkout where it is older.
set(usr ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/usr)
foreach(name holdfast-client holdfast-server)
  if(NOT EXISTS ${CPACK_HOLDFAST_STRIPPED}/${name})
    message(FATAL_ERROR "${CPACK_HOLDFAST_STRIPPED}/${name} is not there: scripts/build-static makes it")
  endif()
  file(REMOVE ${usr}/bin/${name})  # else one as old as the other, to a second, is left
  file(COPY ${CPACK_HOLDFAST_STRIPPED}/${name} DESTINATION ${usr}/bin)
endforeach()
file(GLOB notices ${CPACK_HOLDFAST_STRIPPED}/notices.gz)
file(COPY ${notices} DESTINATION ${usr}/share/doc/holdfast)
file(GLOB_RECURSE files LIST_DIRECTORIES true ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/*)
file(TOUCH ${files})
