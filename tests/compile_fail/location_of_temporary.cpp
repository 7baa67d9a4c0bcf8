// A location views its file's name, so that it cannot be made of a string that ends at once.
// expect: deleted function
#include <kiln/error.h>

#include <string>

kiln::Location first_line(const std::string& folder) {
    const std::string file = folder + "/main.cpp";
#ifdef KILN_FAIL
    return {folder + "/main.cpp", 1};
#else
    return {file, 1};
#endif
}
