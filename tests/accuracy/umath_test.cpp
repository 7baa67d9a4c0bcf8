// All rows of cases/umath: accuracy vectors from outside the project.
//
// Their outputs are correctly rounded (but four, which are corrected here), so the distance is
// counted in representable values: a result whose true error is at most B units in the last place
// is at most B + 0.5, rounded down, of them away from the correctly rounded one. B is ops.def's ulp
// column. NumPy's files state a tolerance of their own, which is checked too.
#include "tests/accuracy/positions.h"
#include "tests/catch.h"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include <fmt/format.h>

using namespace kiln;
using namespace kiln::test;
namespace fs = std::filesystem;

namespace {

const fs::path folder = fs::path(KILN_CASES_DIR) / "umath";

struct Cases {
    std::vector<Elements> inputs;
    Elements expected;
    std::vector<int> tolerance;  // of the file; 0: none

    explicit Cases(DType t = DType::f64) : expected(t) {}
    void add(std::span<const std::uint64_t> in, std::uint64_t out, int tol) {
        while (inputs.size() < in.size()) inputs.emplace_back(expected.dtype);
        for (std::size_t i = 0; i < in.size(); ++i) inputs[i].add_bits(in[i]);
        expected.add_bits(out);
        tolerance.push_back(tol);
    }
};

std::vector<std::string> fields(const std::string& line) {
    std::vector<std::string> result;
    std::istringstream in(line);
    for (std::string field; std::getline(in, field, ',');) result.push_back(field);
    if (!result.empty()) {
        while (!result.back().empty() &&
               std::isspace(static_cast<unsigned char>(result.back().back())) != 0)
            result.back().pop_back();
    }
    return result;
}

/// Rows behind the header; comments start with # or $.
std::vector<std::vector<std::string>> rows(const fs::path& path) {
    std::ifstream file(path);
    REQUIRE(file.is_open());
    std::vector<std::vector<std::string>> result;
    bool header = true;
    for (std::string line; std::getline(file, line);) {
        const auto row = fields(line);
        if (row.empty() || row[0].empty() || row[0][0] == '#' || row[0][0] == '$') continue;
        if (!header) result.push_back(row);
        header = false;
    }
    return result;
}

std::uint64_t hex(const std::string& text) { return std::stoull(text, nullptr, 16); }

ir::Op op_named(std::string name) {
    if (name.starts_with("arc")) name = "a" + name.substr(3);
    for (std::size_t i = 0; i < ir::op_count; ++i)
        if (ir::op_table[i].name == name) return static_cast<ir::Op>(i);
    throw std::runtime_error("no operation " + name);
}

/// Elements ordered as numbers, one apart where they are neighbours.
std::int64_t rank(DType t, std::uint64_t bits) {
    const std::uint64_t sign = std::uint64_t(1) << (8 * size_of(t) - 1);
    const auto magnitude = static_cast<std::int64_t>(bits & (sign - 1));
    return (bits & sign) != 0 ? -magnitude : magnitude;
}

/// "" if the result is acceptable.
std::string judge(const Cases& cases, const Elements& results, std::size_t i, double ulp) {
    const bool nan = cases.expected.is_nan(i);
    const DType t = cases.expected.dtype;
    if (nan && results.is_nan(i)) return {};
    if (results.bits(i) == cases.expected.bits(i)) return {};
    std::int64_t allowed = static_cast<std::int64_t>(std::floor(ulp + 0.5));
    if (cases.tolerance[i] != 0) allowed = std::min<std::int64_t>(allowed, cases.tolerance[i]);
    const std::int64_t steps = std::abs(rank(t, results.bits(i)) - rank(t, cases.expected.bits(i)));
    if (!nan && !results.is_nan(i) && steps != 0 && steps <= allowed) return {};
    std::string arguments;
    for (const Elements& e : cases.inputs)
        arguments += (arguments.empty() ? "" : ", ") + show(e, i);
    return fmt::format("({}) gives {}, correct is {}\n", arguments, show(results, i),
                       show(cases.expected, i));
}

void require_accurate(ir::Op op, const Cases& cases) {
    for (const VectorIsa isa : host_isas()) {
        const Evaluated e = evaluate_everywhere(isa, op, cases.inputs);
        std::string wrong;
        std::size_t count = 0;
        for (std::size_t i = 0; i < e.results.size(); ++i) {
            const std::string verdict = judge(cases, e.results, i, info(op).ulp);
            if (!verdict.empty() && ++count <= 5) wrong += verdict;
        }
        INFO(info(op).name << " of " << name(cases.expected.dtype) << ", " << name(isa) << ", "
                           << count << " of " << e.results.size() << " rows wrong:\n"
                           << wrong);
        CHECK(count == 0);
        CHECK(e.disagreement == "");
    }
}

bool present() {
    if (fs::is_directory(folder)) return true;
    WARN("skipped: there is no " << folder.string() << " (CMake option KILN_CASES_DIR)");
    return false;
}

}  // namespace

TEST_CASE("elementary functions meet NumPy's accuracy vectors", "[accuracy][umath]") {
    if (!present()) return;
    struct Correction {
        const char* function;
        std::uint64_t input, given, correct;
    };
    static constexpr Correction corrections[] = {
        {"log", 0x3f7ffffe, 0xb4000000, 0xb4000001},
        {"log", 0x3f4b0569, 0xbe6d6ea4, 0xbe6d6ea3},
        {"cos", 0x3fdc1a3f3838347e, 0x3fecf6db2769d404, 0x3fecf6db2769d403},
        {"sin", 0xbfa04ec6bc209d90, 0xbfa04e120a2c25cc, 0xbfa04e120a2c25cb},
    };
    static const std::string prefix = "umath-validation-set-";
    std::size_t files = 0, count = 0, corrected = 0;
    for (const auto& entry : fs::directory_iterator(folder)) {
        const std::string stem = entry.path().stem().string();
        if (entry.path().extension() != ".csv" || !stem.starts_with(prefix)) continue;
        ++files;
        const std::string function = stem.substr(prefix.size());
        Cases singles(DType::f32), doubles(DType::f64);
        for (const auto& row : rows(entry.path())) {
            REQUIRE(row.size() == 4);
            REQUIRE((row[0] == "np.float32" || row[0] == "np.float64"));
            const std::uint64_t in = hex(row[1]);
            std::uint64_t out = hex(row[2]);
            for (const Correction& c : corrections) {
                if (c.function != function || c.input != in || c.given != out) continue;
                out = c.correct;
                ++corrected;
            }
            (row[0] == "np.float32" ? singles : doubles)
                .add(std::span(&in, 1), out, std::stoi(row[3]));
            ++count;
        }
        require_accurate(op_named(function), singles);
        require_accurate(op_named(function), doubles);
    }
    CHECK(files == 20);
    CHECK(count == 26610);
    CHECK(corrected >= 4);
}

TEST_CASE("elementary functions meet the hardest cases", "[accuracy][umath]") {
    if (!present()) return;
    std::size_t count = 0, rsqrt = 0;
    for (const char* file : {"hard_f64.csv", "hard_f64_2arg.csv"}) {
        std::map<std::string, Cases> functions;
        for (const auto& row : rows(folder / file)) {
            std::vector<std::uint64_t> in;
            for (std::size_t i = 1; i + 1 < row.size(); ++i) in.push_back(hex(row[i]));
            functions[row[0]].add(in, hex(row.back()), 0);
            ++count;
        }
        for (const auto& [function, cases] : functions) {
            if (function == "rsqrt") {  // kiln has none
                rsqrt = cases.expected.size();
                continue;
            }
            require_accurate(op_named(function), cases);
        }
    }
    CHECK(count == 5100);
    CHECK(rsqrt == 200);
}
