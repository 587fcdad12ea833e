# `cmake --install` and the package that find_package(linseed) finds.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/linseed)
install(TARGETS linseed EXPORT linseedTargets)
if(TARGET linseed_static_fmt)
  install(TARGETS linseed_static_fmt EXPORT linseedTargets)
endif()
install(DIRECTORY include/linseed DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.hpp")
install(EXPORT linseedTargets NAMESPACE linseed:: DESTINATION ${package_folder})

configure_package_config_file(cmake/linseedConfig.cmake.in ${PROJECT_BINARY_DIR}/linseedConfig.cmake
  INSTALL_DESTINATION ${package_folder})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/linseedConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/linseedConfig.cmake ${PROJECT_BINARY_DIR}/linseedConfigVersion.cmake
  cmake/linseedLibraries.cmake DESTINATION ${package_folder})
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
# The embedded images come with their own licence.
install(FILES src/data/embedded/README.md DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME embedded-data.md)
