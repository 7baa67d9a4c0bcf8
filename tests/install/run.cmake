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
# The README shows that program.
file(READ "${SOURCE}/consumer.cpp" program)
file(READ "${SOURCE}/../../README.md" readme)
string(FIND "${readme}" "${program}" at)
if(at EQUAL -1)
  message(FATAL_ERROR "README.md shows another program than tests/install/consumer.cpp")
endif()

# A kernel as an object, in a project of C: by CMake, and by pkg-config.
file(MAKE_DIRECTORY "${work}/objects")
step(${CMAKE_COMMAND} -E chdir "${work}/objects" "${work}/build/exporter")
step(${CMAKE_COMMAND} -S "${SOURCE}/exported" -B "${work}/exported" -G Ninja
  "-DCMAKE_PREFIX_PATH=${work}/prefix" "-DCMAKE_BUILD_TYPE=${CONFIG}" "-DOBJECTS=${work}/objects"
  "-DSANITIZE=${SANITIZE}")
step(${CMAKE_COMMAND} --build "${work}/exported")
step("${work}/exported/heat")
find_program(PKG_CONFIG pkg-config)
if(PKG_CONFIG AND NOT SANITIZE)
  file(GLOB_RECURSE found "${work}/prefix/*/kiln-rt.pc")
  cmake_path(GET found PARENT_PATH folder)
  set(ENV{PKG_CONFIG_PATH} "${folder}")
  execute_process(COMMAND "${PKG_CONFIG}" --cflags --libs kiln-rt OUTPUT_VARIABLE flags
    OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  separate_arguments(flags UNIX_COMMAND "${flags}")
  step(cc "${SOURCE}/exported/main.c" "${work}/objects/heat.o" "-I${work}/objects" ${flags}
    -o "${work}/heat")
  step("${work}/heat")
endif()
if(EXISTS "${work}/build/kernels")
  set(ENV{KILN_CACHE_DIR} "${work}/cache")
  set(ENV{KILN_CACHE} "on")
  step("${work}/build/kernels")
  step("${work}/build/kernels" cached)
endif()
