# cmake -DROOT=... -DCOMPILER=... -DOUT=... -P fingerprint.cmake
# Writes the definition of build_fingerprint (jit/compile/target.h): machine code of one build is not taken for
# another's.
file(GLOB_RECURSE files RELATIVE "${ROOT}"
  "${ROOT}/runtime/*" "${ROOT}/dsl/*" "${ROOT}/codegen/*" "${ROOT}/jit/*")
list(FILTER files INCLUDE REGEX "\\.(h|cpp|def|inc)$")
list(FILTER files EXCLUDE REGEX "^jit/(tool|rt)/|^(dsl|jit)/text/")  # no code comes of it
list(SORT files)
set(text "${COMPILER}\n")
foreach(file IN LISTS files)
  file(SHA256 "${ROOT}/${file}" hash)
  string(APPEND text "${file} ${hash}\n")
endforeach()
string(SHA256 hash "${text}")
string(SUBSTRING "${hash}" 0 16 hash)
file(WRITE "${OUT}" "#include \"jit/compile/target.h\"\n\nconst char* const kiln::engine::build_fingerprint = \"${hash}\";\n")
