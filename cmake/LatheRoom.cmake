# lathe_room(NAME [TORCH] LINK lib...): src/NAME/**.cpp becomes the static library lathe_NAME, tests/NAME/*_test.cpp the
# program tests_NAME. A room without TORCH has no torch include directory: crossing the torch line does not compile.
function(lathe_room name)
  cmake_parse_arguments(ROOM "TORCH" "" "LINK" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/src/${name}/*.cpp")
  list(FILTER sources EXCLUDE REGEX "/main\\.cpp$")
  if(NOT sources)
    set(sources "${CMAKE_SOURCE_DIR}/cmake/empty.cpp")
  endif()
  add_library(lathe_${name} STATIC ${sources})
  add_library(lathe::${name} ALIAS lathe_${name})
  target_include_directories(lathe_${name} PUBLIC
    "$<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/src>" "$<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include>" "$<INSTALL_INTERFACE:include>")
  target_link_libraries(lathe_${name} PUBLIC ${ROOM_LINK} PRIVATE $<BUILD_INTERFACE:lathe_flags>)
  if(ROOM_TORCH)
    target_link_libraries(lathe_${name} PUBLIC lathe_torch)
    lathe_precompile(lathe_${name} lathe_ops "${CMAKE_SOURCE_DIR}/src/ops/pch.h")
  elseif(NOT name STREQUAL "kernels")  # compiled with flags of its own
    lathe_precompile(lathe_${name} lathe_base "${CMAKE_SOURCE_DIR}/src/base/pch.h")
  endif()

  file(GLOB_RECURSE tests CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/tests/${name}/*_test.cpp")
  if(LATHE_BUILD_TESTS AND tests)
    add_executable(tests_${name} ${tests})
    target_include_directories(tests_${name} PRIVATE "${CMAKE_SOURCE_DIR}/tests")
    target_link_libraries(tests_${name} PRIVATE lathe_${name} lathe_flags GTest::gtest GTest::gmock GTest::gtest_main)
    # Tests run once: -O1. With <string> from a precompiled header GCC 12 sees overruns in it (GCC bug 105651).
    target_compile_options(tests_${name} PRIVATE $<$<CONFIG:Release>:-O1>
                           "$<$<CXX_COMPILER_ID:GNU>:-Wno-array-bounds;-Wno-restrict;-Wno-stringop-overflow>")
    target_compile_definitions(tests_${name} PRIVATE LATHE_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
    if(ROOM_TORCH)
      lathe_precompile(tests_${name} tests_ops "${CMAKE_SOURCE_DIR}/tests/torch_pch.h")
    else()
      lathe_precompile(tests_${name} tests_base "${CMAKE_SOURCE_DIR}/tests/pch.h")
    endif()
    include(GoogleTest)
    gtest_discover_tests(tests_${name} TEST_PREFIX "${name}." DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 120
                         PROPERTIES TIMEOUT 600)
  endif()
endfunction()

# lathe_precompile(TARGET OWNER HEADER): OWNER compiles HEADER once, every other target of the same flags reuses it.
function(lathe_precompile target owner header)
  if(target STREQUAL owner)
    target_precompile_headers(${target} PRIVATE "${header}")
  else()
    target_precompile_headers(${target} REUSE_FROM ${owner})
  endif()
endfunction()
