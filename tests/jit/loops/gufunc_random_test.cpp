// Random calls of generalised ufuncs against plain indexing (tests/oracle/gufunc_reference.h): shapes,
// strides, dtypes, axes, keepdims, outputs that overlap, threads, checked mode.
#include "tests/dice.h"
#include "tests/jit/support.h"
#include "tests/oracle/gufunc_reference.h"
#include "tests/random_calls.h"
#include "tests/strided_array.h"
#include "tests/threads.h"

#include <algorithm>
#include <array>
#include <optional>
#include <set>

using namespace kiln;
using namespace kiln::test;

namespace {

/// A gufunc and the dtypes of its inputs. In one run each form gets one list of them, and small dimensions two
/// sizes of three: with all the run spends its time compiling.
struct Form {
    Gufunc call;
    std::vector<DType> inputs;
};

struct Pair {
    ReferenceGufunc reference;
    std::vector<Form> forms;  ///< serial, parallel, checked
};

template <class F> Pair make(ReferenceGufunc reference, F lambda) {
    Pair pair{std::move(reference), {}};
    for (const GufuncOptions& options :
         {GufuncOptions{}, GufuncOptions{.parallel = true}, GufuncOptions{.checked = true}})
        pair.forms.push_back({guvectorize("f", pair.reference.signature, lambda, options), {}});
    return pair;
}

std::vector<Pair> all_pairs() {
    std::vector<Pair> all;
    all.push_back(make({"(m?,n),(n,p?)->(m?,p?)",
                        {{"m?", "n"}, {"n", "p?"}, {"m?", "p?"}},
                        2,
                        {},
                        [](std::vector<ReferenceCore>& c) {
                            for (std::int64_t i = 0; i < c[2].shape[0]; ++i)
                                for (std::int64_t j = 0; j < c[2].shape[1]; ++j)
                                    for (std::int64_t k = 0; k < c[1].shape[0]; ++k)
                                        c[2](i, j) += c[0](i, k) * c[1](k, j);
                        }},
                       [](In a, In b, Out c) {
                           for (Index i : range(a.extent(0)))
                               for (Index j : range(b.extent(1))) {
                                   Var sum(c.dtype(), 0);
                                   for (Index k : range(a.extent(1))) sum += a(i, k) * b(k, j);
                                   c(i, j) = sum;
                               }
                       }));
    all.push_back(make({"(n),(n)->()",
                        {{"n"}, {"n"}, {}},
                        2,
                        {},
                        [](std::vector<ReferenceCore>& c) {
                            for (std::int64_t k = 0; k < c[0].shape[0]; ++k)
                                c[2](0) += c[0](k) * c[1](k);
                        }},
                       [](In a, In b, Out c) { c() = sum(a * b); }));
    all.push_back(make({"(3),(3)->(3)",
                        {{"3"}, {"3"}, {"3"}},
                        2,
                        {},
                        [](std::vector<ReferenceCore>& c) {
                            c[2](0) = c[0](1) * c[1](2) - c[0](2) * c[1](1);
                            c[2](1) = c[0](2) * c[1](0) - c[0](0) * c[1](2);
                            c[2](2) = c[0](0) * c[1](1) - c[0](1) * c[1](0);
                        }},
                       [](In a, In b, Out c) {
                           c(0) = a(1) * b(2) - a(2) * b(1);
                           c(1) = a(2) * b(0) - a(0) * b(2);
                           c(2) = a(0) * b(1) - a(1) * b(0);
                       }));
    all.push_back(make(
        {"(n),(m)->(n+m-1)",
         {{"n"}, {"m"}, {"n+m-1"}},
         2,
         [](const std::map<std::string, std::int64_t>& s) { return s.at("n") + s.at("m") - 1; },
         [](std::vector<ReferenceCore>& c) {
             for (std::int64_t i = 0; i < c[0].shape[0]; ++i)
                 for (std::int64_t k = 0; k < c[1].shape[0]; ++k) c[2](i + k) += c[0](i) * c[1](k);
         }},
        [](In x, In h, Out y) {
            for (Index i : range(y.extent(0))) y(i) = 0;
            for (Index i : range(x.extent(0)))
                for (Index k : range(h.extent(0))) y(i + k) += x(i) * h(k);
        }));
    all.push_back(make({"(n)->(),()",
                        {{"n"}, {}, {}},
                        1,
                        {},
                        [](std::vector<ReferenceCore>& c) {
                            c[1](0) = *std::ranges::min_element(c[0].elements);
                            c[2](0) = *std::ranges::max_element(c[0].elements);
                        }},
                       [](In x, Out low, Out high) {
                           Var a = x(0), b = x(0);
                           for (Index i : range(1, x.extent(0))) {
                               a = min(a, x(i));
                               b = max(b, x(i));
                           }
                           low() = a;
                           high() = b;
                       }));
    all.push_back(make({"(n),()->(n)",
                        {{"n"}, {}, {"n"}},
                        2,
                        {},
                        [](std::vector<ReferenceCore>& c) {
                            double sum = 0;
                            for (std::int64_t i = 0; i < c[0].shape[0]; ++i)
                                c[2](i) = sum += c[0](i) * c[1](0);
                        }},
                       [](In x, Value k, Out y) {
                           Var sum(y.dtype(), 0);
                           for (Index i : range(x.extent(0))) {
                               sum += x(i) * k;
                               y(i) = sum;
                           }
                       }));
    all.push_back(make({"(m,n)->(m),(n)",
                        {{"m", "n"}, {"m"}, {"n"}},
                        1,
                        {},
                        [](std::vector<ReferenceCore>& c) {
                            for (std::int64_t i = 0; i < c[0].shape[0]; ++i)
                                for (std::int64_t j = 0; j < c[0].shape[1]; ++j) {
                                    c[1](i) += c[0](i, j);
                                    c[2](j) += c[0](i, j);
                                }
                        }},
                       [](In a, Out rows, Out columns) {
                           rows = sum(a, {.axis = 1});
                           columns = sum(a, {.axis = 0});
                       }));
    all.push_back(make({"(),()->()",
                        {{}, {}, {}},
                        2,
                        {},
                        [](std::vector<ReferenceCore>& c) { c[2](0) = 3 * c[0](0) - c[1](0); }},
                       [](Value a, Value b, Out c) { c() = 3 * a - b; }));
    return all;
}

class Calls {
  public:
    explicit Calls(std::uint64_t seed) : dice_(seed), pairs_(all_pairs()) {
        for (Pair& pair : pairs_)
            for (Form& form : pair.forms)
                for (std::size_t i = 0; i < pair.reference.inputs; ++i)
                    form.inputs.push_back(dice_.chance(50) ? DType::f64 : DType::i32);
    }

    void one() {
        const Pair& pair = pairs_[dice_.below(pairs_.size())];
        const ReferenceGufunc& f = pair.reference;
        const Form& form = pair.forms[dice_.below(pair.forms.size())];
        INFO("signature " << f.signature);
        const bool reduces =
            std::ranges::all_of(f.dims.begin() + static_cast<std::ptrdiff_t>(f.inputs),
                                f.dims.end(), [](const auto& dims) { return dims.empty(); });
        const bool equal = std::ranges::all_of(
            f.dims.begin(), f.dims.begin() + static_cast<std::ptrdiff_t>(f.inputs),
            [&](const auto& dims) { return dims.size() == f.dims[0].size(); });
        ReferenceAxes axes;
        axes.keepdims = reduces && equal && dice_.chance(30);
        const std::vector<Array> inputs = make_inputs(f, form.inputs, axes);
        const std::vector<Array> expected = reference_call(f, inputs, axes);

        GufuncCallOptions options;
        options.keepdims = axes.keepdims;
        for (const auto& list : axes.axes) options.axes.push_back(as_axes(list));
        if (dice_.chance(20)) options.order = Order::fortran;
        std::vector<Array> outs;
        if (dice_.chance(40)) outs = make_outputs(expected, inputs);
        if (outs.size() == 1) options.out = outs[0];
        if (outs.size() == 2) options.outs = {outs[0], outs[1]};

        const Threads threads(dice_.between(1, 3));
        const std::vector<Array> got = inputs.size() == 1
                                           ? form.call.all(inputs[0], options)
                                           : form.call.all(inputs[0], inputs[1], options);
        REQUIRE(got.size() == expected.size());
        for (std::size_t o = 0; o < got.size(); ++o) {
            REQUIRE(got[o].shape() == expected[o].shape());
            if (outs.empty()) REQUIRE(got[o].dtype() == common_type(inputs));
            const std::vector<double> a = values(got[o]), b = values(expected[o]);
            for (std::size_t i = 0; i < a.size(); ++i)
                if (a[i] != b[i]) REQUIRE(a[i] == b[i]);
        }
    }

  private:
    static DType common_type(const std::vector<Array>& inputs) {
        DType t = inputs[0].dtype();
        for (const Array& a : inputs) t = promote(t, a.dtype());
        return t;
    }
    static Axes as_axes(const std::vector<int>& list) {
        if (list.empty()) return Axes::none();
        if (list.size() == 1) return {list[0]};
        return {list[0], list[1]};
    }

    std::vector<Array> make_inputs(const ReferenceGufunc& f, const std::vector<DType>& dtypes,
                                   ReferenceAxes& axes) {
        std::map<std::string, std::int64_t> sizes;
        for (const auto& dims : f.dims)
            for (const std::string& name : dims)
                sizes.emplace(name, name[0] == '3'    ? 3
                                    : dice_.chance(5) ? 12
                                                      : sizes_[dice_.below(2)]);
        std::vector<std::int64_t> loop;
        for (int d = dice_.between(0, 3); d > 0; --d)
            loop.push_back(dice_.chance(5) ? 0 : dice_.chance(10) ? 20 : dice_.between(1, 4));
        const bool listed = dice_.chance(25);
        std::set<std::string> dropped;  // optional dimensions
        for (const auto& [name, size] : sizes)
            if (name.back() == '?' && dice_.chance(30)) dropped.insert(name);
        std::vector<Array> inputs;
        for (std::size_t i = 0; i < f.dims.size(); ++i) {
            std::vector<std::int64_t> core, own = loop;
            for (const std::string& name : f.dims[i])
                if (!dropped.contains(name)) core.push_back(sizes.at(name));
            // An operand with loop dimensions is no candidate for missing ones.
            if (!dropped.empty() && core.size() < f.dims[i].size()) own.clear();
            for (std::int64_t& extent : own)
                if (i < f.inputs && dice_.chance(25)) extent = 1;
            while (i < f.inputs && !own.empty() && dice_.chance(25)) own.erase(own.begin());
            const std::size_t kept =
                i >= f.inputs && axes.keepdims ? f.dims[0].size() : core.size();
            if (listed) axes.axes.push_back(places(i < f.inputs ? own.size() : loop_rank_, kept));
            if (i >= f.inputs) continue;
            loop_rank_ = i == 0 ? own.size() : std::max(loop_rank_, own.size());
            inputs.push_back(array(dtypes[i], own, core, listed ? &axes.axes[i] : nullptr));
        }
        return inputs;
    }

    /// Random axes for a core, some counted from the last.
    std::vector<int> places(std::size_t loop, std::size_t core) {
        const int rank = static_cast<int>(loop + core);
        std::vector<int> all;
        for (int d = 0; d < rank; ++d) all.push_back(d);
        for (std::size_t k = 0; k < all.size(); ++k)
            std::swap(all[k], all[k + dice_.below(all.size() - k)]);
        all.resize(core);
        for (int& axis : all)
            if (dice_.chance(50)) axis -= rank;
        return all;
    }

    Array array(DType dtype, const std::vector<std::int64_t>& loop,
                const std::vector<std::int64_t>& core, const std::vector<int>* places) {
        const int rank = static_cast<int>(loop.size() + core.size());
        Shape shape = Shape::filled(rank, -1);
        for (std::size_t k = 0; k < core.size(); ++k) {
            const int axis = places == nullptr ? static_cast<int>(loop.size() + k) : (*places)[k];
            shape[axis < 0 ? axis + rank : axis] = core[k];
        }
        std::size_t at = 0;
        for (int d = 0; d < rank; ++d)
            if (shape[d] == -1) shape[d] = loop[at++];
        const Array a = strided(shape, dtype);
        fill(a);
        return a;
    }
    Array strided(const Shape& shape, DType dtype) {
        return random_strided(dice_, shape, dtype, 50);
    }
    void fill(const Array& a) {
        Array values = empty(a.shape(), DType::i32);
        for (std::int64_t i = 0; i < values.size(); ++i)
            reinterpret_cast<std::int32_t*>(values.data())[i] = dice_.between(-9, 9);
        a.assign(values);
    }
    /// Outputs apart from the inputs, or over one of them where that has as many elements.
    std::vector<Array> make_outputs(const std::vector<Array>& results,
                                    const std::vector<Array>& inputs) {
        std::vector<Array> outs;
        for (const Array& result : results) {
            const Array& input = inputs[dice_.below(inputs.size())];
            if (dice_.chance(40) && input.shape() == result.shape() && input.dtype() == DType::f64)
                outs.push_back(dice_.chance(50) || input.rank() == 0
                                   ? input
                                   : input.flip(static_cast<int>(
                                         dice_.below(static_cast<std::size_t>(input.rank())))));
            else
                outs.push_back(strided(result.shape(), dice_.chance(20) ? DType::f32 : DType::f64));
        }
        // Two outputs in one place are stored one after the other; the reference does not do that.
        if (outs.size() == 2) outs[1] = strided(results[1].shape(), DType::f64);
        return outs;
    }

    Dice dice_;
    std::vector<Pair> pairs_;
    const int first_size_ = dice_.between(1, 3);
    const std::array<int, 2> sizes_ = {first_size_, first_size_ % 3 + 1};
    std::size_t loop_rank_ = 0;
};

}  // namespace

// KILN_RANDOM_CALLS=1000000 for more of them, KILN_RANDOM_SEED for the same ones.
TEST_CASE("random calls of generalised ufuncs give what plain indexing gives",
          "[jit][gufunc][random]") {
    const std::uint64_t seed = random_seed();
    INFO("seed " << seed);
    Dice seeds(seed);
    std::optional<Calls> calls;
    for (long call = 0, count = random_calls(20'000); call < count; ++call) {
        INFO("call " << call);
        if (call % calls_of_one_choice == 0) calls.emplace(seeds.bits());
        calls->one();
    }
}
