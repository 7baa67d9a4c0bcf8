#include <kiln/error.h>

#include "tests/catch.h"

using namespace kiln;

TEST_CASE("errors are written in compiler form", "[runtime][error]") {
    const Error error(ErrorKind::type, "no loop for (f32, i8)",
                      Location("/home/user/saxpy.cpp", 12), "cast one of them");
    CHECK(std::string(error.what()) ==
          "saxpy.cpp:12: error: no loop for (f32, i8) (cast one of them)");
    CHECK(error.kind() == ErrorKind::type);
    CHECK(error.message() == "no loop for (f32, i8)");
    CHECK(error.hint() == "cast one of them");
    CHECK(error.file() == "/home/user/saxpy.cpp");
    CHECK(error.line() == 12);
}

TEST_CASE("errors leave out what is unknown", "[runtime][error]") {
    CHECK(std::string(Error(ErrorKind::io, "no file").what()) == "error: no file");
    CHECK(std::string(Error(ErrorKind::io, "no file", Location("a.cpp", 3)).what()) ==
          "a.cpp:3: error: no file");
    CHECK(std::string(Error(ErrorKind::io, "no file", {}, "make it").what()) ==
          "error: no file (make it)");
    CHECK(Error(ErrorKind::io, "no file").line() == 0);
    CHECK(Error(ErrorKind::io, "no file").file().empty());
}

TEST_CASE("a Location is a source_location's file and line", "[runtime][error]") {
    const Location here = std::source_location::current();
    CHECK(here.line == static_cast<unsigned>(__LINE__) - 1);
    CHECK(here.file == __FILE__);
}

TEST_CASE("names of error kinds", "[runtime][error]") {
    CHECK(name(ErrorKind::usage) == "usage");
    CHECK(name(ErrorKind::type) == "type");
    CHECK(name(ErrorKind::shape) == "shape");
    CHECK(name(ErrorKind::bounds) == "bounds");
    CHECK(name(ErrorKind::unsupported) == "unsupported");
    CHECK(name(ErrorKind::device) == "device");
    CHECK(name(ErrorKind::io) == "io");
    CHECK(name(ErrorKind::internal) == "internal");
}
