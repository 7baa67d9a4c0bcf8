// any and all of whole arrays stop where the answer is known.
#include "jit/reduce/chunks.h"
#include "runtime/process.h"

#include <kiln/environment.h>
#include <kiln/parallel.h>

#include <algorithm>
#include <atomic>
#include <memory>

namespace kiln {

namespace {

/// Arrays below this are reduced at once.
constexpr std::int64_t early_bytes = 1'000'000;

std::unique_ptr<MapReduce> of_values(const char* name, Reduce reduction) {
    return std::make_unique<MapReduce>(map_reduce(name, [](Value x) { return x; }, reduction,
                                                  MapReduceOptions{.parallel = true}, {}));
}

/// Whether the reduction of all elements is `decisive`, which one element is enough for.
bool found(ir::Reduction reduction, bool decisive, const Array& x, Location where) {
    const Array whole = zeros({}, DType::bool_);
    engine::ReduceProblem p = engine::problem_of(x, (1U << x.rank()) - 1, whole, false, true);
    const engine::Chunks chunks = engine::cut(p);
    const std::int64_t count = chunks.count();
    std::atomic<bool> decided = false;
    const auto work = [&](std::int64_t i) {
        bool result = !decisive;
        engine::ReduceProblem chunk = engine::chunk_problem(
            p, chunks.kept.at(0), chunks.reduced.at(i), &result, DType::bool_);
        engine::run_chunk(engine::partial_reducer(reduction), chunk, std::nullopt, where);
        if (result == decisive) decided.store(true, std::memory_order_relaxed);
    };
    // The first chunk alone, then rounds of more and more of them.
    const std::int64_t threads = num_threads();
    std::int64_t round = 1;
    for (std::int64_t done = 0; done < count && !decided; done += round) {
        if (done > 0) round = std::min(threads == 1 ? 1 : 2 * round, 64 * threads);
        const std::int64_t now = std::min(round, count - done);
        engine::for_chunks(true, now, now * engine::largest_chunk,
                           [&](std::int64_t i) { work(done + i); });
    }
    return decided;
}

Array decide(const MapReduce& reduce, ir::Reduction reduction, bool decisive, const Array& x,
             const ReduceOptions& options, std::source_location where) {
    engine::check_on_host(x, where);
    const detail::DefaultEnvironment environment;
    const bool whole = (options.axis.is_default() || options.axis.is_all()) && !options.initial &&
                       !options.where && !options.dtype;
    // What an array of one element makes of the options is what the whole array does.
    if (!whole || x.nbytes() < early_bytes) return reduce(x, options, where);
    const bool answer = found(reduction, decisive, x, where) == decisive;
    const Array one = full(Shape::filled(x.rank(), 1), answer, where);
    return reduce(one, options, where);
}

}  // namespace

Array any(const Array& x, const ReduceOptions& options, std::source_location where) {
    static constinit detail::Lazy<MapReduce> lazy;
    const MapReduce& f = lazy.get([] { return of_values("any", Reduce::any); });
    return decide(f, ir::Reduction::any, true, x, options, where);
}
Array all(const Array& x, const ReduceOptions& options, std::source_location where) {
    static constinit detail::Lazy<MapReduce> lazy;
    const MapReduce& f = lazy.get([] { return of_values("all", Reduce::all); });
    return decide(f, ir::Reduction::all, false, x, options, where);
}

}  // namespace kiln
