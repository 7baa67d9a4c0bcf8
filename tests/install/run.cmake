# Installs the build into a fresh prefix, builds the consumer against it and runs it.
set(work "${BUILD}/install-test")
file(REMOVE_RECURSE "${work}")

function(step)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE code OUTPUT_VARIABLE words ERROR_VARIABLE words)
  message("${words}")
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "failed: ${ARGN}")
  endif()
endfunction()

step(${CMAKE_COMMAND} --install "${BUILD}" --prefix "${work}/prefix" --config "${CONFIG}")
step(${CMAKE_COMMAND} -S "${SOURCE}" -B "${work}/build" -G Ninja "-DCMAKE_PREFIX_PATH=${work}/prefix"
  "-DCMAKE_CXX_COMPILER=${CXX}" "-DCMAKE_BUILD_TYPE=${CONFIG}" "-DSANITIZE=${SANITIZE}")
step(${CMAKE_COMMAND} --build "${work}/build")
step("${work}/build/consumer")
if(EXISTS "${work}/build/kernels")
  set(ENV{KILN_CACHE_DIR} "${work}/cache")
  set(ENV{KILN_CACHE} "on")
  step("${work}/build/kernels")
  step("${work}/build/kernels" cached)
endif()
