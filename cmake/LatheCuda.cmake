# The CUDA plug-in: src/kernels/cuda/*.cu compiled by nvcc into liblathe_cuda.so beside the program, which opens it when it
# runs. Built where nvcc is; the same sources are compiled for the host into tests_kernels everywhere (docs/cuda.md).
file(GLOB _cuda_sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/src/kernels/cuda/*.cu")

# lathe_cuda_host, for tests alone: the very same files through the C++ compiler.
if(LATHE_BUILD_TESTS)
  set(_host_sources)
  foreach(source IN LISTS _cuda_sources)
    get_filename_component(name "${source}" NAME_WE)
    file(CONFIGURE OUTPUT "${CMAKE_BINARY_DIR}/generated/cuda_host/${name}.cpp"
         CONTENT "#include \"kernels/cuda/${name}.cu\"\n")
    list(APPEND _host_sources "${CMAKE_BINARY_DIR}/generated/cuda_host/${name}.cpp")
  endforeach()
  add_library(lathe_cuda_host STATIC ${_host_sources})
  target_include_directories(lathe_cuda_host PUBLIC "${CMAKE_SOURCE_DIR}/src" "${CMAKE_SOURCE_DIR}/include")
  target_compile_options(lathe_cuda_host PRIVATE -ffp-contract=off $<$<CONFIG:Release>:-O1>)
  target_link_libraries(lathe_cuda_host PRIVATE lathe_flags)
endif()

set(LATHE_CUDA_ARCHITECTURES "80-real;90" CACHE STRING "GPUs to compile for; the last one also as PTX, for those after it")
find_program(LATHE_NVCC nvcc HINTS ENV CUDACXX ENV CUDA_HOME ENV CUDA_PATH /usr/local/cuda PATH_SUFFIXES bin)
set(LATHE_CUDA OFF)
if(LATHE_NVCC)
  execute_process(COMMAND "${LATHE_NVCC}" --version OUTPUT_VARIABLE _nvcc_version ERROR_QUIET)
  if(_nvcc_version MATCHES "release ([0-9]+)\\." AND CMAKE_MATCH_1 GREATER_EQUAL 12)
    set(CMAKE_CUDA_COMPILER "${LATHE_NVCC}")
    set(CMAKE_CUDA_HOST_COMPILER "${CMAKE_CXX_COMPILER}")
    set(CMAKE_CUDA_ARCHITECTURES "${LATHE_CUDA_ARCHITECTURES}")
    enable_language(CUDA)
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)  # CMake 3.25 does not know that nvcc has it
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
    set(LATHE_CUDA ON)
  endif()
endif()
if(NOT LATHE_CUDA)
  message(STATUS "The CUDA plug-in is left out: nvcc 12 or newer was not found (its kernels are tested on the host all the same)")
  return()
endif()

set(CMAKE_CUDA_STANDARD 20)
# The runtime library inside, out of others' sight: the plug-in suits any libtorch, and its tests need none.
set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
add_library(lathe_cuda MODULE ${_cuda_sources})
target_include_directories(lathe_cuda PRIVATE "${CMAKE_SOURCE_DIR}/src" "${CMAKE_SOURCE_DIR}/include")
# No fused products but those written: the sums are then those of the host build that the tests compare.
set(LATHE_CUDA_OPTIONS -fmad=false --expt-relaxed-constexpr -Xptxas=-warn-spills -Werror=all-warnings
    -Xcompiler=-Wall,-Wextra,-Werror)
target_compile_options(lathe_cuda PRIVATE ${LATHE_CUDA_OPTIONS})
set_target_properties(lathe_cuda PROPERTIES CUDA_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
                      LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}")
target_link_options(lathe_cuda PRIVATE "LINKER:--exclude-libs,ALL" "LINKER:-z,defs")
