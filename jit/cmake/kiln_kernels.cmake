# kiln_kernels(target file.cpp...): kernels of the functions in these files that are marked with
# KILN_KERNEL (<kiln/native.h>). The files are compiled as a part of the target, and read by Clang
# while it is built: what no kernel can do is an error of the build. Programs need no Clang.
function(kiln_kernels target)
  if(NOT TARGET kiln::kiln_text)
    message(FATAL_ERROR "kiln_kernels needs a kiln that was built with Clang 19 (KILN_TEXT)")
  endif()
  get_target_property(type ${target} TYPE)
  set(teller ${target})
  if(type STREQUAL "STATIC_LIBRARY")
    # Nothing refers to what tells of the kernels, so linkers would leave it out of an archive: whatever
    # is linked with the library gets these objects beside it.
    set(teller ${target}_kiln_kernels)
    if(NOT TARGET ${teller})
      add_library(${teller} OBJECT)
      set_target_properties(${teller} PROPERTIES POSITION_INDEPENDENT_CODE ON)
      target_link_libraries(${teller} PRIVATE kiln::kiln)
      target_link_libraries(${target} INTERFACE $<TARGET_OBJECTS:${teller}>)
    endif()
  endif()
  foreach(file IN LISTS ARGN)
    cmake_path(ABSOLUTE_PATH file BASE_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}" NORMALIZE
      OUTPUT_VARIABLE source)
    cmake_path(GET source STEM name)
    string(MD5 id "${source}")
    string(SUBSTRING "${id}" 0 8 id)
    set(folder "${CMAKE_CURRENT_BINARY_DIR}/kiln_kernels")
    file(MAKE_DIRECTORY "${folder}")
    set(made "${folder}/${target}_${name}_${id}.cpp")
    add_custom_command(OUTPUT "${made}"
      COMMAND kiln::kiln_tool embed "${source}" --out "${made}" --depfile "${made}.d"
      DEPENDS "${source}" kiln::kiln_tool kiln::kiln_text DEPFILE "${made}.d"
      COMMENT "Kernels of ${name}" VERBATIM)
    target_sources(${target} PRIVATE "${source}")
    target_sources(${teller} PRIVATE "${made}")
  endforeach()
  target_link_libraries(${target} PRIVATE kiln::kiln)
endfunction()
