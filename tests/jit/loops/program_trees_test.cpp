// The text of a program says in which order it sums: plain C++ that follows it gives the same bits.
#include "codegen/trees.h"
#include "dsl/ir/text.h"
#include "tests/jit/support.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <random>

using namespace kiln;

namespace {

using Numbers = std::vector<double>;

/// What the passes have made of the kernel.
ir::Kernel made(const std::string& passes) {
    constexpr std::string_view after = "; after ";
    const std::size_t last = passes.rfind(after);
    REQUIRE(last != std::string::npos);
    return ir::parse(passes.substr(passes.find('\n', last)));
}
/// Of its one loop, or of that which it launches.
const ir::Tree& tree_of(const ir::Kernel& kernel) {
    const ir::Kernel& owner =
        kernel.trees.empty() && !kernel.outlined.empty() ? kernel.outlined[0] : kernel;
    REQUIRE(owner.trees.size() == 1);
    return owner.trees[0];
}

/// Neighbours, level by level; an odd last one moves along.
double pair_by_pair(Numbers v) {
    while (v.size() > 1) {
        Numbers next;
        for (std::size_t i = 0; i + 1 < v.size(); i += 2) next.push_back(v[i] + v[i + 1]);
        if (v.size() % 2 != 0) next.push_back(v.back());
        v = std::move(next);
    }
    return v[0];
}

/// The upper half is added to the lower one.
void fold(Numbers& lanes, std::size_t to) {
    while (lanes.size() > to) {
        const std::size_t half = lanes.size() / 2;
        for (std::size_t l = 0; l < half; ++l) lanes[l] += lanes[half + l];
        lanes.resize(half);
    }
}

/// The sums of the iterations of a block, as codegen/trees.h has it for Tree::sums.
double by_rows(Numbers v) {
    const auto one_by_one = [](const std::vector<Numbers>& rows) {
        Numbers sum = rows[0];
        for (std::size_t r = 1; r < rows.size(); ++r)
            for (std::size_t l = 0; l < sum.size(); ++l) sum[l] += rows[r][l];
        return sum;
    };
    if (v.size() <= tree::few_sums) {
        double sum = v[0];
        for (std::size_t i = 1; i < v.size(); ++i) sum += v[i];
        return sum;
    }
    const std::size_t lanes = tree::sum_row_bytes / sizeof(double);
    while (v.size() % lanes != 0) v.push_back(-0.0);
    std::vector<Numbers> rows;
    for (auto at = v.begin(); at != v.end(); at += static_cast<std::ptrdiff_t>(lanes))
        rows.emplace_back(at, at + static_cast<std::ptrdiff_t>(lanes));
    while (rows.size() >= tree::sum_rows) {
        std::vector<Numbers> next;
        std::size_t r = 0;
        for (; r + tree::sum_rows <= rows.size(); r += tree::sum_rows) {
            Numbers sum(lanes);
            for (std::size_t l = 0; l < lanes; ++l) {
                Numbers column;
                for (std::size_t i = 0; i < tree::sum_rows; ++i) column.push_back(rows[r + i][l]);
                sum[l] = pair_by_pair(column);
            }
            next.push_back(std::move(sum));
        }
        for (; r < rows.size(); ++r) next.push_back(rows[r]);
        rows = std::move(next);
    }
    Numbers sum = one_by_one(rows);
    fold(sum, 1);
    return sum[0];
}

/// The steps of a reduction from `at` on, into one result a lane: as ir::Lanes has it.
Numbers steps(const Numbers& v, std::size_t& at, std::size_t end, const ir::Lanes& lanes,
              std::uint32_t level) {
    const std::size_t width = lanes.of_register * lanes.registers;
    Numbers sum(width, -0.0);
    const bool top = level + 1 == lanes.levels;
    for (std::uint32_t i = 0; at < end && (top || i < lanes.fan_in); ++i) {
        if (level == 0) {
            for (std::size_t l = 0; l < width; ++l) sum[l] += v[at + l];
            at += width;
        } else {
            const Numbers below = steps(v, at, end, lanes, level - 1);
            for (std::size_t l = 0; l < width; ++l) sum[l] += below[l];
        }
    }
    return sum;
}
double as_lanes(const Numbers& v, const ir::Lanes& lanes) {
    const std::size_t width = lanes.of_register * lanes.registers;
    const std::size_t whole = v.size() / width * width;
    Numbers sum(lanes.tail, -0.0);
    std::size_t at = 0;
    if (whole > 0) {
        sum = steps(v, at, whole, lanes, lanes.levels - 1);
        fold(sum, lanes.tail);
    }
    for (; at < v.size(); ++at) sum[(at - whole) % lanes.tail] += v[at];
    fold(sum, 1);
    return sum[0];
}

/// All blocks; of a parallel loop unit by unit.
template <class Block> double total(const Numbers& v, const ir::Tree& tree, Block block) {
    Numbers blocks;
    const auto size = static_cast<std::size_t>(tree.block);
    for (std::size_t at = 0; at < v.size(); at += size)
        blocks.push_back(
            block(Numbers(v.begin() + static_cast<std::ptrdiff_t>(at),
                          v.begin() + static_cast<std::ptrdiff_t>(std::min(at + size, v.size())))));
    if (tree.units == 0) return pair_by_pair(std::move(blocks));
    const auto most = static_cast<std::size_t>(tree.units);
    const std::size_t of_unit = (blocks.size() + most - 1) / most;
    Numbers units;
    for (std::size_t at = 0; at < blocks.size(); at += of_unit)
        units.push_back(pair_by_pair(Numbers(
            blocks.begin() + static_cast<std::ptrdiff_t>(at),
            blocks.begin() + static_cast<std::ptrdiff_t>(std::min(at + of_unit, blocks.size())))));
    return pair_by_pair(std::move(units));
}

Numbers random_numbers(std::size_t n) {
    std::mt19937_64 random(n);
    std::uniform_real_distribution<double> in(-1.0, 1.0);
    Numbers v(n);
    for (double& x : v) x = std::ldexp(in(random), static_cast<int>(random() % 40));
    return v;
}
const std::size_t lengths[] = {1, 7, 8, 9, 63, 64, 65, 511, 513, 5000, 24'653, 131'073, 2'500'003};

TEST_CASE("the order of a sum stands in the text: scalar code", "[jit][program][trees]") {
    for (const bool parallel : {false, true}) {
        // A subscript that is loaded keeps lanes away.
        const auto f = jit(
            [](In x, In at) -> Value {
                Var sum(DType::f64, 0.5);
                for (Index i : prange(at.extent(0))) sum += x(at(i));
                return sum;
            },
            {.parallel = parallel});
        const ir::Kernel kernel = made(f.inspect(Artifact::passes, {f64[1], i64[1]}));
        REQUIRE(kernel.outlined.size() == 1);
        REQUIRE(kernel.outlined[0].is_program());
        for (const std::size_t n : lengths) {
            CAPTURE(n);
            const Numbers v = random_numbers(n);
            std::vector<std::int64_t> at(n);
            for (std::size_t i = 0; i < n; ++i) at[i] = static_cast<std::int64_t>(i);
            CHECK(f(v, at).get<double>() == 0.5 + total(v, tree_of(kernel), by_rows));
        }
    }
}

TEST_CASE("the order of a sum stands in the text: lanes", "[jit][program][trees]") {
    for (const bool parallel : {false, true}) {
        const auto f = jit(
            [](In x) -> Value {
                Var sum(DType::f64, 0.5);
                for (Index i : prange(x.extent(0))) sum += x(i);
                return sum;
            },
            {.parallel = parallel});
        const ir::Kernel kernel = made(f.inspect(Artifact::passes, {f64[1]}));
        REQUIRE(kernel.outlined.size() == 1);
        const ir::Lanes lanes = kernel.outlined[0].lanes;
        REQUIRE(lanes.levels != 0);
        for (const std::size_t n : lengths) {
            CAPTURE(n);
            const Numbers v = random_numbers(n);
            CHECK(f(v).get<double>() == 0.5 + total(v, tree_of(kernel), [&](const Numbers& block) {
                                            return as_lanes(block, lanes);
                                        }));
        }
    }
}

TEST_CASE("the order of a sum stands in the text: checked code", "[jit][program][trees]") {
    const auto f = jit(
        [](In x) -> Value {
            Var sum(DType::f64, 0.5);
            for (Index i : prange(x.extent(0))) sum += x(i);
            return sum;
        },
        {.checked = true});
    const ir::Kernel kernel = made(f.inspect(Artifact::passes, {f64[1]}));
    for (const std::size_t n : lengths) {
        CAPTURE(n);
        const Numbers v = random_numbers(n);
        CHECK(f(v).get<double>() == 0.5 + total(v, tree_of(kernel), by_rows));
    }
}

}  // namespace
