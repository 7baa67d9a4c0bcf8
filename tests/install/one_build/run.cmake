# Configures the project, and asks what its programs need to be built; building it would build kiln again.
set(work "${BUILD}/one-build-test")
file(REMOVE_RECURSE "${work}")
cmake_path(SET root NORMALIZE "${SOURCE}/../../..")

execute_process(COMMAND ${CMAKE_COMMAND} -S "${SOURCE}" -B "${work}" -G Ninja "-DKILN=${root}"
  "-DCMAKE_MAKE_PROGRAM=${NINJA}" "-DCMAKE_CXX_COMPILER=${CXX}" -DCMAKE_BUILD_TYPE=Release
  RESULT_VARIABLE code OUTPUT_VARIABLE words ERROR_VARIABLE words)
if(NOT code EQUAL 0)
  message(FATAL_ERROR "${words}")
endif()
foreach(program app behind)
  execute_process(COMMAND "${NINJA}" -C "${work}" -t inputs ${program}
    RESULT_VARIABLE code OUTPUT_VARIABLE inputs ERROR_VARIABLE inputs)
  foreach(library kiln kiln_cpu kiln_cuda)  # beside each other, where libkiln looks
    if(NOT code EQUAL 0 OR NOT inputs MATCHES "(^|\n)kiln/lib/lib${library}\\.so[.0-9]*(\n|$)")
      message(FATAL_ERROR "${program} does not need kiln/lib/lib${library}.so: ${inputs}")
    endif()
  endforeach()
endforeach()
message("the programs need all of kiln's libraries")
