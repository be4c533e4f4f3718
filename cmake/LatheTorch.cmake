# lathe::torch: libtorch as it lies in the PyPI wheel (or in any installed torch), without the wheel's CMake package,
# which insists on a CUDA toolkit. Only libtorch_cpu and libc10 are linked; CUDA is opened at run time.
set(LATHE_DEPS_DIR "$ENV{LATHE_DEPS_DIR}" CACHE PATH "Where scripts/bootstrap put the fetched dependencies")
if(NOT LATHE_DEPS_DIR)
  set(LATHE_DEPS_DIR "${CMAKE_SOURCE_DIR}/.deps")
endif()
set(LATHE_TORCH_DIR "$ENV{LATHE_TORCH_DIR}" CACHE PATH "An installed torch to build against: the folder that holds include/ and lib/")
if(NOT LATHE_TORCH_DIR)
  set(LATHE_TORCH_DIR "${LATHE_DEPS_DIR}/libtorch/torch")
endif()
if(NOT EXISTS "${LATHE_TORCH_DIR}/include/ATen/ATen.h")
  message(FATAL_ERROR "libtorch was not found in ${LATHE_TORCH_DIR}. Run scripts/bootstrap, or set LATHE_TORCH_DIR to "
                      "the folder of an installed torch that holds include/ and lib/.")
endif()

add_library(lathe_torch INTERFACE)
add_library(lathe::torch ALIAS lathe_torch)
set(_torch_lib "${LATHE_TORCH_DIR}/lib")
# After the system's own folders: the wheel brings headers of another fmt, whose functions no library here defines.
target_compile_options(lathe_torch INTERFACE
  "$<BUILD_INTERFACE:SHELL:-idirafter ${LATHE_TORCH_DIR}/include>"
  "$<BUILD_INTERFACE:SHELL:-idirafter ${LATHE_TORCH_DIR}/include/torch/csrc/api/include>")
# at::parallel_for is an OpenMP loop in a header: compile with OpenMP, and link the wheel's own libgomp so that the
# process has one pool of threads and not two.
target_compile_options(lathe_torch INTERFACE -fopenmp)
target_link_libraries(lathe_torch INTERFACE
  "$<BUILD_INTERFACE:${_torch_lib}/libtorch_cpu.so>" "$<BUILD_INTERFACE:${_torch_lib}/libc10.so>")
if(EXISTS "${_torch_lib}/libgomp.so.1")
  target_link_libraries(lathe_torch INTERFACE "$<BUILD_INTERFACE:${_torch_lib}/libgomp.so.1>")
else()
  target_link_libraries(lathe_torch INTERFACE gomp)
endif()
set(LATHE_TORCH_RPATH "${_torch_lib};${LATHE_TORCH_DIR}/../nvidia/cu13/lib")
target_link_options(lathe_torch INTERFACE "LINKER:-rpath-link,${LATHE_TORCH_DIR}/../nvidia/cu13/lib")
list(APPEND CMAKE_BUILD_RPATH ${LATHE_TORCH_RPATH})
list(APPEND CMAKE_INSTALL_RPATH ${LATHE_TORCH_RPATH})
