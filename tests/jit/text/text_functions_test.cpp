// Functions as kernels from text give what the same functions give when the compiler of the tests
// compiles them.
#include "tests/catch.h"

#include <kiln/kiln.h>
#include <kiln/text.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

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

/// Small numbers, those that meet, and those at the ends of the type where the function wraps.
template <class T> std::vector<T> numbers(std::mt19937& random) {
    std::vector<T> all;
    for (int i = 0; i < 311; ++i) {
        if constexpr (std::is_floating_point_v<T>)
            all.push_back(static_cast<T>(static_cast<int>(random() % 4001) - 2000) / T(64));
        else
            all.push_back(
                static_cast<T>(static_cast<int>(random() % 41) - (std::is_signed_v<T> ? 20 : 0)));
    }
    return all;
}

template <class R, class... A>
void agrees(const std::string& name, R (*function)(A...), UfuncOptions options = {}) {
    INFO(name);
    std::mt19937 random(1);
    const std::tuple<std::vector<A>...> inputs{numbers<A>(random)...};
    const Ufunc kernel = text::vectorize(functions(), name, options);
    REQUIRE(kernel.nin() == sizeof...(A));
    const Array result = std::apply([&](const auto&... in) { return kernel(in...); }, inputs);
    REQUIRE(result.dtype() == dtype_of<R>);
    const auto got = result.template view<R, 1>();
    std::size_t different = 0;
    for (std::size_t n = 0; n < std::get<0>(inputs).size(); ++n) {
        const auto i = static_cast<std::int64_t>(n);
        const R expected =
            std::apply([&](const auto&... in) { return function(in[n]...); }, inputs);
        if (std::memcmp(&expected, &got(i), sizeof(R)) == 0) continue;
        if constexpr (std::is_floating_point_v<R>)
            if (std::isnan(expected) && std::isnan(got(i))) continue;
        if (++different > 3) continue;
        std::string arguments;
        std::apply([&](const auto&... in) { ((arguments += std::to_string(in[n]) + " "), ...); },
                   inputs);
        FAIL_CHECK(name << "(" << arguments << ") is " << +got(i) << ", natively " << +expected);
    }
    CHECK(different == 0);
}
#define AGREES(name) agrees(#name, native::name)

}  // namespace

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
    agrees("inner::scaled", native::inner::scaled);
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
