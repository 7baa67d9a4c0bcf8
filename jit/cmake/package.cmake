# Debian packages by CPack: libkiln0.1 for programs that run, libkiln-dev for those that are built.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_VENDOR "the kiln developers")
set(CPACK_PACKAGE_CONTACT "the kiln developers <kiln@example.org>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL runtime development)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_COMPONENT_RUNTIME_DESCRIPTION
  "JIT compiler for element-wise, loop and reduction kernels: shared libraries")
set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION
  "JIT compiler for element-wise, loop and reduction kernels: headers")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME
  "libkiln${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libkiln-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
# What is opened while a program runs is not seen by dpkg-shlibdeps.
string(REGEX REPLACE "^(lib[^.]+)\\.so\\.([0-9]+)$" "\\1\\2" kiln_sleef_package "${kiln_sleef_soname}")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_DEPENDS "${kiln_sleef_package}")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS
  "${CPACK_DEBIAN_RUNTIME_PACKAGE_NAME} (= ${PROJECT_VERSION})")
include(CPack)
