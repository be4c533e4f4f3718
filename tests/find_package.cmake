# Installs Lathe, builds examples/find_package against what was installed, and runs it.
#   cmake -DSOURCE=… -DBUILD=… -DWORK=… -P find_package.cmake
function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE code OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "${ARGV}\nleft with ${code}:\n${output}")
  endif()
endfunction()

file(REMOVE_RECURSE "${WORK}")
run(${CMAKE_COMMAND} --install "${BUILD}" --prefix "${WORK}/prefix")
run(${CMAKE_COMMAND} -S "${SOURCE}/examples/find_package" -B "${WORK}/build" -DCMAKE_BUILD_TYPE=Release
    "-DCMAKE_PREFIX_PATH=${WORK}/prefix")
run(${CMAKE_COMMAND} --build "${WORK}/build")

# The program that was installed and the example say the same of the same text.
file(WRITE "${WORK}/text" "Hello there<|im_end|>\nIt is 42.\n")
set(tokenizer "${SOURCE}/tests/data/tiny_tokenizer")
execute_process(COMMAND "${WORK}/build/tokenize_lines" "${tokenizer}" INPUT_FILE "${WORK}/text"
                OUTPUT_VARIABLE from_library RESULT_VARIABLE code)
execute_process(COMMAND "${WORK}/prefix/bin/lathe" tokenize -m "${tokenizer}" "${WORK}/text" OUTPUT_VARIABLE from_program)
string(REPLACE ", " "," from_library "${from_library}")
string(REPLACE ", " "," from_program "${from_program}")
if(NOT code EQUAL 0 OR NOT from_library MATCHES "^\\[[0-9,]+\\]\n\\[[0-9,]+\\]\n$" OR NOT from_library STREQUAL from_program)
  message(FATAL_ERROR "the example says (${code}):\n${from_library}the program says:\n${from_program}")
endif()
execute_process(COMMAND "${WORK}/build/tokenize_lines" /nowhere INPUT_FILE "${WORK}/text" RESULT_VARIABLE code ERROR_QUIET)
if(NOT code EQUAL 2)
  message(FATAL_ERROR "a folder that is not there gives ${code} and not 2")
endif()
file(REMOVE_RECURSE "${WORK}")
