// Functions as kernels from text give what the same functions give when the compiler of the tests
// compiles them.
#include "tests/jit/text/agrees.h"

#include <bit>
#include <cfloat>
#include <climits>
#include <limits>
#include <numeric>
#include <utility>

using namespace kiln;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wshadow"
namespace native {
#include "tests/jit/text/functions.inc"
}
#pragma GCC diagnostic pop

namespace {

const text::Source& functions() {
    static const text::Source source = text::Source::file(KILN_TESTS_DIR "/jit/text/functions.inc");
    return source;
}

#define AGREES(name) test::agrees(functions(), #name, native::name)

}  // namespace

TEST_CASE("bits, scales, limits in text are those of the C++ library", "[jit][text]") {
    AGREES(of_bits);
    AGREES(of_short_bits);
    AGREES(rotated);
    AGREES(rotated_far);
    AGREES(scaled);
    AGREES(between);
    AGREES(of_tuples);
    AGREES(of_fibonacci);
    AGREES(midway);
    AGREES(midway_of_signed);
    AGREES(midway_of_short);
    AGREES(midway_of_tiny);
    AGREES(midway_of_large);
    AGREES(moved_on);
    AGREES(infinite);
}

TEST_CASE("integers in text are C++'s", "[jit][text]") {
    AGREES(promoted);
    AGREES(narrowed);
    AGREES(wraps);
    AGREES(mixed_signs);
    AGREES(widened);
    AGREES(shifts);
    AGREES(bytes);
    AGREES(bool_updates);
    AGREES(updates);
    AGREES(divided);
    AGREES(of_real);
    AGREES(of_bools);
    AGREES(long_mask);
}

TEST_CASE("flow of control in text is C++'s", "[jit][text]") {
    AGREES(steps);
    AGREES(early);
    AGREES(from_nested);
    AGREES(continued);
    AGREES(moved_counter);
    AGREES(moved_end);
    AGREES(counted_down);
    AGREES(from_below);
    AGREES(end_below);
    AGREES(by_twos);
    AGREES(converted_counter);
    AGREES(repeated);
    AGREES(chosen);
    AGREES(chosen_in_loop);
    AGREES(stops);
    AGREES(comma);
    AGREES(before_and_after);
}

TEST_CASE("variables, references and arrays in text are C++'s", "[jit][text]") {
    AGREES(horner);
    AGREES(windowed);
    AGREES(determinant);
    AGREES(sorted);
    AGREES(aliased);
    AGREES(exchanged);
    AGREES(changed_parameter);
    AGREES(shadowed);
}

TEST_CASE("functions and templates in text are C++'s", "[jit][text]") {
    AGREES(generic);
    AGREES(overloaded);
    AGREES(of_constants);
    AGREES(raised);
    AGREES(defaulted);
    AGREES(qualified);
    test::agrees(functions(), "inner::scaled", native::inner::scaled);
}

TEST_CASE("classes in text are C++'s", "[jit][text]") {
    AGREES(points);
    AGREES(counted_by_class);
    AGREES(bound);
    AGREES(arrays_of_objects);
    AGREES(arrays_in_objects);
}

TEST_CASE("<cmath> in text is the standard library's", "[jit][text]") {
    AGREES(exact_functions);
    AGREES(rounded);
    AGREES(of_integers);
    AGREES(single);
    AGREES(fused);
    AGREES(classified);
}
