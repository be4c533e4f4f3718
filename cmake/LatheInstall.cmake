# cmake --install: libraries, public headers, the program and a package for find_package(lathe).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(_rooms base kernels data config ops model engine train app)
list(TRANSFORM _rooms PREPEND lathe_)
install(TARGETS ${_rooms} lathe_torch EXPORT latheTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS lathe_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
if(LATHE_CUDA)
  install(TARGETS lathe_cuda LIBRARY DESTINATION lib/lathe)  # where plugin.cpp looks: beside bin/
endif()
install(DIRECTORY include/lathe DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
# The presets, and the demo's model and rows, where the installed program looks for them.
install(DIRECTORY configs demo DESTINATION ${CMAKE_INSTALL_DATADIR}/lathe)
install(EXPORT latheTargets NAMESPACE lathe:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/lathe)
configure_package_config_file(cmake/latheConfig.cmake.in "${CMAKE_BINARY_DIR}/latheConfig.cmake"
                              INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/lathe)
write_basic_package_version_file("${CMAKE_BINARY_DIR}/latheConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_BINARY_DIR}/latheConfig.cmake" "${CMAKE_BINARY_DIR}/latheConfigVersion.cmake"
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/lathe)
