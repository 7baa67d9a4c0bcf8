// Nests of loops, which test once whether all of them run, and what functions of loops ask of LLVM.
#include "tests/jit/support.h"

#include <cstdint>
#include <string>
#include <vector>

using namespace kiln;

namespace {

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("nests: loops without iterations", "[jit][program]") {
    // Sums that stay in registers through three loops; around them, what happens even so.
    const auto kernel = jit("sums", [](In x, InOut rows, InOut visits) {
        for (Index i : range(rows.extent(0))) {
            visits(0) += 1;
            for (Index k : range(x.extent(0)))
                for (Index l : range(x.extent(1)))
                    for (Index m : range(x.extent(2)))
                        for (Index c : range(4)) rows(i, c) += x(k, l, m) + c;
            for (Index k : range(x.extent(1) - 1, -1, -2)) {
                visits(1) += 1;
                for (Index m : range(x.extent(2))) visits(2) += k + m;
            }
        }
    });
    for (const std::int64_t i : {0, 1, 3})
        for (const std::int64_t k : {0, 1, 4})
            for (const std::int64_t l : {0, 1, 5})
                for (const std::int64_t m : {0, 1, 6}) {
                    INFO(i << " " << k << " " << l << " " << m);
                    const Array x = zeros({k, l, m}, i64), rows = zeros({i, 4}, i64);
                    x.fill(2);
                    rows.fill(10);
                    std::vector<std::int64_t> visits(3, 0);
                    kernel(x, rows, visits);
                    std::int64_t sum = 0;
                    for (std::int64_t at = l - 1; at > -1; at -= 2)
                        for (std::int64_t e = 0; e < m; ++e) sum += at + e;
                    CHECK(visits == std::vector<std::int64_t>{i, i * ((l + 1) / 2), i * sum});
                    for (std::int64_t r = 0; r < i; ++r)
                        for (std::int64_t c = 0; c < 4; ++c)
                            CHECK(rows.at<std::int64_t>({r, c}) == 10 + k * l * m * (2 + c));
                }
}

TEST_CASE("nests: bounds that an outer loop sets are tested in it", "[jit][program]") {
    const auto kernel = jit("triangle", [](InOut x) {
        for (Index i : range(x.extent(0)))
            for (Index j : range(i)) x(i, j) += 1;
    });
    CHECK(!has(kernel.inspect(Artifact::llvm, {i64[2]}), "nest"));
    const Array x = zeros({4, 4}, i64);
    kernel(x);
    for (std::int64_t i = 0; i < 4; ++i)
        for (std::int64_t j = 0; j < 4; ++j) CHECK(x.at<std::int64_t>({i, j}) == (j < i ? 1 : 0));
}

TEST_CASE("nests: what functions of loops ask of LLVM", "[jit][program]") {
    const auto text = [](auto body) {
        return jit("asks", body).inspect(Artifact::llvm, {f64[2], f64[2]});
    };
    const std::string nest = text([](In x, InOut y) {
        for (Index i : range(x.extent(0)))
            for (Index j : range(x.extent(1))) y(i, j) = x(i, j) + 1.0;
    });
    CHECK(has(nest, "nest:"));
    CHECK(!has(nest, "kiln-invariant-branches"));
    CHECK(!has(nest, "kiln-carried-values"));
    // Equal in all iterations of the inner loop.
    CHECK(has(text([](In x, InOut y) {
                  for (Index i : range(x.extent(0)))
                      for (Index j : range(x.extent(1))) if_(i > 3, [&] { y(i, j) = x(i, j); });
              }),
              "kiln-invariant-branches"));
    CHECK(!has(text([](In x, InOut y) {
                   for (Index i : range(x.extent(0)))
                       for (Index j : range(x.extent(1))) if_(j > 3, [&] { y(i, j) = x(i, j); });
               }),
               "kiln-invariant-branches"));
    // Stores go to positions that are loaded.
    const auto scatters = [](auto body) {
        return has(jit("asks", body).inspect(Artifact::llvm, {f64[1], i64[1], f64[1]}),
                   "llvm.loop.vectorize.enable");
    };
    CHECK(scatters([](In x, In at, InOut y) {
        for (Index i : range(x.extent(0))) y(at(i)) = x(i) + 1.0;
    }));
    CHECK(!scatters([](In x, In at, InOut y) {
        for (Index i : range(x.extent(0))) y(at(i)) = sqrt(x(i));
    }));
    CHECK(!scatters([](In x, In at, InOut y) {
        for (Index i : range(x.extent(0))) y(i) = x(at(i)) + 1.0;
    }));
    // An iteration reads what the one before it stored.
    CHECK(has(text([](In x, InOut y) {
                  for (Index i : range(x.extent(0)))
                      for (Index j : range(1, x.extent(1))) y(i, j) = x(i, j) * y(i, j - 1);
              }),
              "kiln-carried-values"));
}
