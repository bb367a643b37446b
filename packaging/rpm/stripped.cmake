# Run by CPack before it packs: the programs as scripts/build-static left them, the very bytes that the tarball, the images
# and the SBOM have, and what those whose libraries are in them want to be said, where scripts/release wrote it.
set(usr ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/usr)
foreach(name holdfast-client holdfast-server)
  if(NOT EXISTS ${CPACK_HOLDFAST_STRIPPED}/${name})
    message(FATAL_ERROR "${CPACK_HOLDFAST_STRIPPED}/${name} is not there: scripts/build-static makes it")
  endif()
  file(COPY ${CPACK_HOLDFAST_STRIPPED}/${name} DESTINATION ${usr}/bin)
endforeach()
file(GLOB notices ${CPACK_HOLDFAST_STRIPPED}/notices.gz)
file(COPY ${notices} DESTINATION ${usr}/share/doc/holdfast)
