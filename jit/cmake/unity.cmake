# Batches: files of a target that are compiled as one, which reads their headers and instantiates what they share once. The files
# stay as they are, and as they compile alone (KILN_UNITY=OFF).
if(KILN_UNITY)
  find_package(Python3 REQUIRED COMPONENTS Interpreter)
endif()
set(kiln_unity_script "${CMAKE_CURRENT_LIST_DIR}/unity.py")

# kiln_unity(target bytes [TESTS]): puts the target's files into batches of up to so many bytes (unity.py says which). Called behind
# what sets properties of files: those with definitions or options of their own are compiled alone. What a batch of TESTS includes
# is that of its files, and written anew when they change.
function(kiln_unity target bytes)
  if(NOT KILN_UNITY)
    return()
  endif()
  get_target_property(sources ${target} SOURCES)
  set(files "")
  set(alone "")
  foreach(source IN LISTS sources)
    cmake_path(ABSOLUTE_PATH source BASE_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}" OUTPUT_VARIABLE file)
    get_source_file_property(made "${file}" GENERATED)
    get_source_file_property(definitions "${file}" COMPILE_DEFINITIONS)
    get_source_file_property(options "${file}" COMPILE_OPTIONS)
    if(NOT made AND NOT definitions AND NOT options AND file MATCHES "\\.cpp$" AND EXISTS "${file}")
      cmake_path(RELATIVE_PATH file BASE_DIRECTORY "${PROJECT_SOURCE_DIR}")
      list(APPEND files "${file}")
    else()
      list(APPEND alone "${source}")
    endif()
  endforeach()
  set(plan "${CMAKE_CURRENT_BINARY_DIR}/unity/${target}.json")
  set(command "${Python3_EXECUTABLE}" "${kiln_unity_script}")
  execute_process(COMMAND ${command} plan "${plan}" ${bytes} "${ARGN}" ${files}
    WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}" OUTPUT_VARIABLE batches COMMAND_ERROR_IS_FATAL ANY)
  if("TESTS" IN_LIST ARGN)
    set(made "${batches}")
    list(FILTER made INCLUDE REGEX "/unity/${target}_[0-9]+\\.cpp$")
    list(TRANSFORM files PREPEND "${PROJECT_SOURCE_DIR}/")
    add_custom_command(OUTPUT ${made} COMMAND ${command} write "${plan}" WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}"
      DEPENDS ${files} "${kiln_unity_script}" "${plan}" COMMENT "Batches of ${target}" VERBATIM)
    # A target without libraries: the command would wait for those of the tests.
    add_custom_target(${target}_batches DEPENDS ${made})
    add_dependencies(${target} ${target}_batches)
  endif()
  set_property(TARGET ${target} PROPERTY SOURCES "${batches};${alone}")
endfunction()
