// The runtime of compiled programs: frames, parallel loops, arrays of the kernel, faults.
#include "jit/loops/run_loop_kernel.h"

#include "dsl/ir/describe.h"
#include "jit/call/threads.h"
#include "jit/compile/fault.h"
#include "jit/loops/schedule.h"

#include <kiln/host_function.h>
#include <kiln/memory.h>
#include <kiln/parallel.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>
#include <tuple>

#include <fmt/format.h>

namespace kiln::engine {
namespace {

using Clock = std::chrono::steady_clock;

/// One run of a program: what ProgramFrame::host points at.
class LoopKernelRun : public ProgramHost {
  public:
    LoopKernelRun(const LoopKernelVariant& variant, bool parallel,
                  const kiln::detail::DefaultEnvironment& default_,
                  const std::source_location& where)
        : variant_(variant),
          kernel_(variant.kernel->kernel),
          parallel_(parallel && !variant.serial && num_threads() > 1),
          where_(where),
          made_(variant.makes_arrays ? kernel_.params.size() : 0) {
        functions = variant.functions.data();
        environment = default_.before();
        kernels_environment = default_.word();
    }

    static const ProgramRuntime runtime;
    static LoopKernelRun& of(const ProgramFrame* frame) {
        return *static_cast<LoopKernelRun*>(frame->host);
    }
    /// Notes the exception that is being handled.
    void record_exception(std::int64_t iteration);

    void parallel_loop(const ProgramFrame* frame, PieceFunction piece, const void* context,
                       std::int64_t trip, std::int64_t unit, std::int64_t schedule);
    void record_fault(std::int64_t code, std::int64_t iteration, std::int64_t param,
                      const std::int64_t* subscripts);
    bool allocate(const ProgramFrame* frame, std::size_t param, const std::int64_t* extents);
    std::byte* enter(std::int64_t bytes);
    bool reserve(std::size_t param, const std::int64_t* extents, ProgramBlock& block);
    void record_error();
    Shape shape_of_made(std::size_t param, const std::int64_t* extents) const;
    void finish() const;
    /// Of a parameter, or of a slot behind them.
    int rank_of(std::int64_t param) const {
        const auto p = static_cast<std::size_t>(param);
        return p < kernel_.params.size() ? kernel_.params[p].rank : 1;
    }
    Array take(std::uint32_t result) { return std::move(made_[result].result); }

  private:
    /// What a failed check reports besides: two lists of integers, and the array they are about.
    struct Lists {
        std::uint32_t param;
        std::span<const std::int64_t> first, second;
    };
    Lists reported() const;
    std::string out_of_bounds(const Location& at) const;
    std::string outside_neighborhood(const Location& at) const;
    struct Fault {
        std::int64_t code = abi::no_fault, part = 0, iteration = 0;
        abi::Subject about;
        // Subscripts and extents, or two lists: at most an offset, its bounds and an element.
        std::array<std::int64_t, 4 * max_rank> numbers;
        std::exception_ptr thrown = nullptr;  // by a function of the host
        bool any() const { return code >= 0 || thrown != nullptr; }
    };
    /// Whether a fault here comes before that which is known.
    bool is_first(std::int64_t iteration) const {
        return !fault_.any() ||
               std::pair(part_, iteration) < std::pair(fault_.part, fault_.iteration);
    }

    const LoopKernelVariant& variant_;
    const ir::Kernel& kernel_;
    bool parallel_;
    std::source_location where_;
    /// An array that the kernel makes.
    struct Made {
        Made() = default;
        Made(const Made&) = delete;
        Made& operator=(const Made&) = delete;
        ~Made() { deallocate(block.data, static_cast<std::size_t>(block.bytes)); }

        Array result;             // one that it returns
        ProgramBlock block = {};  // the memory of another
    };
    std::vector<Made> made_;  // per parameter
    // The part of the program that runs: odd in the parallel loops, in the order in which they
    // come.
    std::int64_t part_ = 0;
    std::mutex mutex_;
    Fault fault_;
    std::exception_ptr error_;
};

const ProgramRuntime LoopKernelRun::runtime{
    [](const ProgramFrame* frame, PieceFunction piece, const void* context, std::int64_t trip,
       std::int64_t unit, std::int64_t schedule) {
        LoopKernelRun& run = of(frame);
        ++run.part_;
        run.parallel_loop(frame, piece, context, trip, unit, schedule);
        ++run.part_;
    },
    [](const ProgramFrame* frame, std::int64_t site, std::int64_t iteration, std::int64_t about,
       const std::int64_t* numbers) { of(frame).record_fault(site, iteration, about, numbers); },
    [](const ProgramFrame* frame, std::int64_t param, const std::int64_t* extents) {
        return of(frame).allocate(frame, static_cast<std::size_t>(param), extents);
    },
    [](const ProgramFrame* frame, std::int64_t bytes) { return of(frame).enter(bytes); },
    [](const ProgramFrame*, std::byte* memory, std::int64_t bytes) {
        deallocate(memory, static_cast<std::size_t>(bytes));
    },
    [](const ProgramFrame* frame, std::int64_t param, const std::int64_t* extents,
       ProgramBlock* block) {
        return of(frame).reserve(static_cast<std::size_t>(param), extents, *block);
    },
};

/// Work that is not worth a fork, what a piece should take, what is measured reliably. Pieces of
/// even work may be brief, so that little of it is shared by few threads.
constexpr std::int64_t serial_ps = uneven_loop_us * 1'000'000,
                       brief_serial_ps = even_loop_us * 1'000'000, piece_ps = 20'000'000,
                       brief_piece_ps = 2'500'000, probe_ps = 2'000'000;

// Loops whose iterations are short stay on this thread. What an iteration takes is remembered from
// the last run: iterations that take about the same each and always are dealt out by that. Others
// are measured on the first ones, in growing steps where nothing was known, until the rest is known
// to be worth a fork.
void LoopKernelRun::parallel_loop(const ProgramFrame* frame, PieceFunction piece,
                                  const void* context, std::int64_t trip, std::int64_t unit,
                                  std::int64_t schedule) {
    const std::int64_t size = std::max<std::int64_t>(1, unit);
    const std::int64_t count = ceil_div(trip, size);
    const auto run = [&](std::int64_t first, std::int64_t last) {
        if (unit == 0) {
            piece(frame, context, first, last);
            return;
        }
        for (std::int64_t u = first; u < last; ++u)
            piece(frame, context, u * unit, std::min(trip, (u + 1) * unit));
    };
    if (!parallel_ || count <= 1) {
        if (count > 0) run(0, count);
        return;
    }
    const auto [kind, flat, wanted] = abi::schedule_word(schedule);
    // Reductions go by units. All in integers: floating-point flags are the kernel's.
    const std::int64_t chunk = wanted == 0 ? 0 : std::max<std::int64_t>(1, wanted / size);
    const auto timed = [&](std::int64_t first, std::int64_t last) {
        const auto before = Clock::now();
        run(first, last);
        using Picoseconds = std::chrono::duration<std::int64_t, std::pico>;
        const auto took = std::chrono::duration_cast<Picoseconds>(Clock::now() - before).count();
        return std::max<std::int64_t>(took / (last - first), 1);
    };
    if (kind != ir::Schedule::automatic) {
        deal_out(kind, count, chunk, run);
        return;
    }
    LoopCost* cost = nullptr;
    for (LoopCost& c : variant_.costs)
        if (c.is(piece)) {
            cost = &c;
            break;
        }
    const std::int64_t known = cost != nullptr ? cost->ps() : 0;
    const auto iterations = [&](std::int64_t ps, std::int64_t each) {
        return std::min(ps / each, count);
    };
    // Measuring would be much of the time of short loops within others.
    if (flat && known > 0 && count <= brief_serial_ps / 8 / known) {
        run(0, count);
        return;
    }
    if (flat && known > 0 && count > (brief_serial_ps - 1) / known) {
        const std::int64_t grain = iterations(brief_piece_ps, known);
        parallel_for(
            count, std::max<std::int64_t>(1, grain),
            [&](std::int64_t begin, std::int64_t end) {
                if (begin != 0) return run(begin, end);
                cost->set(timed(begin, end));
            },
            grain >= 1);
        return;
    }
    std::int64_t step = known > 0 ? iterations(probe_ps * 3 / 2, known) : flat ? 256 : 1;
    // An inner loop may be longer than it was.
    if (!flat) step = std::min(step, count / 8);
    for (std::int64_t done = 0; done < count; step *= 2) {
        step = std::max<std::int64_t>(1, step);
        const std::int64_t last = std::min(count, done + step);
        const std::int64_t each = timed(done, last);
        const bool brief = each < probe_ps / (last - done);
        done = last;
        const bool as_known = known > 0 && each / 4 < known && known / 4 < each;
        if (brief && !as_known && done < count) continue;
        if (cost != nullptr) cost->set(each);
        if (count - done <= (serial_ps - 1) / each) {
            if (done < count) run(done, count);
            return;
        }
        // Of very many iterations, pieces are larger, but enough to balance unequal ones.
        const std::int64_t grain =
            std::max(iterations(piece_ps, each), (count - done) / (32 * num_threads()));
        parallel_for(count - done, std::max<std::int64_t>(1, grain),
                     [&](std::int64_t begin, std::int64_t end) { run(done + begin, done + end); });
        return;
    }
}

void LoopKernelRun::record_fault(std::int64_t site, std::int64_t iteration, std::int64_t about,
                                 const std::int64_t* numbers) {
    const std::lock_guard lock(mutex_);
    if (!is_first(iteration)) return;
    fault_ = {};
    fault_.code = site;
    fault_.part = part_;
    fault_.iteration = iteration;
    fault_.about = abi::subject(about);
    switch (fault_.about.kind) {
        case abi::Subject::Kind::nothing: return;
        case abi::Subject::Kind::array:
            std::copy_n(numbers, 2 * rank_of(fault_.about.array), fault_.numbers.begin());
            return;
        case abi::Subject::Kind::lists:
            std::copy_n(numbers, fault_.about.first + fault_.about.second, fault_.numbers.begin());
            return;
    }
}

void LoopKernelRun::record_exception(std::int64_t iteration) {
    const std::lock_guard lock(mutex_);
    if (!is_first(iteration)) return;
    fault_ = {};
    fault_.part = part_;
    fault_.iteration = iteration;
    fault_.thrown = std::current_exception();
}

/// In a loop an array has the memory that it had in the iteration before, where there is room.
bool LoopKernelRun::allocate(const ProgramFrame* frame, std::size_t param,
                             const std::int64_t* extents) {
    const ir::Param& p = kernel_.params[param];
    Made& made = made_[param];
    auto* words = reinterpret_cast<std::int64_t*>(const_cast<ProgramFrame*>(frame) + 1) +
                  variant_.offsets[param];
    bool same = made.block.data != nullptr;
    for (unsigned d = 0; d < p.rank; ++d)
        same = same && words[abi::program_word::extent(d)] == extents[d];
    if (same) return true;
    const std::byte* data = nullptr;
    if (p.access == ir::Access::result) {
        try {
            made.result = empty(shape_of_made(param, extents), p.dtype);
            data = made.result.data();
        } catch (...) {
            record_error();
            return false;
        }
    } else {
        if (!reserve(param, extents, made.block)) return false;
        data = made.block.data;
    }
    std::memcpy(words, &data, sizeof data);
    std::uint64_t stride = size_of(p.dtype);  // of no elements any number
    for (unsigned d = p.rank; d-- > 0;) {
        words[abi::program_word::extent(d)] = extents[d];
        words[abi::program_word::stride(d, p.rank)] = static_cast<std::int64_t>(stride);
        stride *= static_cast<std::uint64_t>(extents[d]);
    }
    return true;
}

std::byte* LoopKernelRun::enter(std::int64_t bytes) {
    try {
        return static_cast<std::byte*>(kiln::allocate(static_cast<std::size_t>(bytes), where_));
    } catch (...) {
        record_error();
        return nullptr;
    }
}

bool LoopKernelRun::reserve(std::size_t param, const std::int64_t* extents, ProgramBlock& block) {
    const ir::Param& p = kernel_.params[param];
    auto usual = static_cast<std::int64_t>(size_of(p.dtype));
    bool fits = block.data != nullptr;
    for (unsigned d = 0; d < p.rank; ++d)
        fits = fits && extents[d] >= 0 && !__builtin_mul_overflow(usual, extents[d], &usual);
    if (fits && usual <= block.bytes) return true;
    try {
        const Shape shape = shape_of_made(param, extents);
        std::int64_t bytes = static_cast<std::int64_t>(size_of(p.dtype));
        if (p.rank > 0) bytes = Array::c_strides(shape, size_of(p.dtype), where_)[0] * shape[0];
        // What grows from iteration to iteration finds room for some time.
        constexpr std::int64_t most_ahead = 1 << 20;
        const std::int64_t ahead = std::min(block.bytes / 2, most_ahead);
        deallocate(block.data, static_cast<std::size_t>(block.bytes));
        block = {};
        const std::size_t size = static_cast<std::size_t>(bytes) + static_cast<std::size_t>(ahead);
        block.data = static_cast<std::byte*>(kiln::allocate(size, where_));
        block.bytes = static_cast<std::int64_t>(size);
        return true;
    } catch (...) {
        record_error();
        return false;
    }
}

/// Notes the exception that is being handled, which ends the run.
void LoopKernelRun::record_error() {
    const std::lock_guard lock(mutex_);
    if (error_ == nullptr) error_ = std::current_exception();
}

Shape LoopKernelRun::shape_of_made(std::size_t param, const std::int64_t* extents) const {
    const Shape shape(std::span(extents, kernel_.params[param].rank));
    for (const std::int64_t extent : shape)
        if (extent < 0)
            throw Error(
                ErrorKind::shape,
                fmt::format("{} has shape {}",
                            ir::describe_array(kernel_, static_cast<std::uint32_t>(param), where_),
                            to_string(shape)),
                where_, "extents are not negative");
    return shape;
}

/// Throws what the run found.
void LoopKernelRun::finish() const {
    if (error_ != nullptr) std::rethrow_exception(error_);
    if (fault_.thrown != nullptr) std::rethrow_exception(fault_.thrown);
    if (fault_.code < 0) return;
    const abi::FaultSite site = abi::fault_site(fault_.code);
    Location at = kernel_.location(site.location);
    if (at.line == 0) at = where_;
    const std::string in =
        fault_.part % 2 == 0 ? "" : fmt::format(" in iteration {}", fault_.iteration);
    const FaultText known = fault_text(site.check);
    switch (site.check) {
        case ir::Check::division_by_zero:
        case ir::Check::negative_power:
            throw Error(known.kind, std::string(known.text) + in, at, std::string(known.hint));
        case ir::Check::shapes: {
            const Lists lists = reported();
            throw_shapes(lists.first, lists.second, at);
        }
        case ir::Check::empty: throw Error(known.kind, std::string(known.text), at);
        case ir::Check::out_of_bounds: throw Error(ErrorKind::bounds, out_of_bounds(at) + in, at);
        case ir::Check::outside_neighborhood:
            throw Error(ErrorKind::bounds, outside_neighborhood(at), at,
                        "declare a larger one in .neighborhood");
    }
}

LoopKernelRun::Lists LoopKernelRun::reported() const {
    const std::span first(fault_.numbers.data(), fault_.about.first);
    return {fault_.about.array, first, std::span(first.data() + first.size(), fault_.about.second)};
}

/// "index (4,2) is outside of x of shape (3,3)".
std::string LoopKernelRun::out_of_bounds(const Location& at) const {
    const auto text = [](const Shape& index, const std::string& array, const Shape& shape) {
        return fmt::format("index {} is outside of {} of shape {}", to_string(index), array,
                           to_string(shape));
    };
    if (fault_.about.kind ==
        abi::Subject::Kind::
            lists) {  // of a Local of one element: the subscript, and the Local's line
        const Lists lists = reported();
        if (lists.second.size() == 2)  // of an array of C++: nothing, and its extent
            return fmt::format("index {} is outside of an array of {} element{}", lists.first[0],
                               lists.second[1], lists.second[1] == 1 ? "" : "s");
        return text(Shape(lists.first), fmt::format("the Local of line {}", lists.second[0]), {1});
    }
    const std::uint32_t p = fault_.about.array;
    const auto rank = static_cast<std::size_t>(rank_of(p));
    const Shape index(std::span(fault_.numbers.data(), rank));
    const Shape shape(std::span(fault_.numbers.data() + rank, rank));
    if (p >= kernel_.params.size()) {
        const auto slot = p - static_cast<std::uint32_t>(kernel_.params.size());
        return text(index, ir::describe_slot(kernel_, slot, at, false), shape);
    }
    return text(index, ir::describe_array(kernel_, p, at), shape);
}

/// "offset 3 of dimension 1 of x is outside of the declared neighborhood (-1, 1) at element (2,5)".
std::string LoopKernelRun::outside_neighborhood(const Location& at) const {
    const Lists lists = reported();
    const std::size_t rank = lists.first.size();
    const auto [low, high, element] =
        std::tuple(lists.second, lists.second.subspan(rank), lists.second.subspan(2 * rank));
    std::size_t d = 0;
    while (d + 1 < rank && low[d] <= lists.first[d] && lists.first[d] <= high[d]) ++d;
    return fmt::format(
        "offset {} of dimension {} of {} is outside of the declared neighborhood ({}, {}) at "
        "element {}",
        lists.first[d], d, ir::describe_array(kernel_, lists.param, at), low[d], high[d],
        to_string(Shape(element.first(rank))));
}

/// Shapes that do not fit together by one of the rules for which broadcasting is not enough.
[[noreturn]] void throw_rule(ir::ShapeRule rule, std::span<const std::int64_t> first,
                             std::span<const std::int64_t> second, const Location& at) {
    const std::string a = to_string(Shape(first)), b = to_string(Shape(second));
    switch (rule) {
        case ir::ShapeRule::dot:
            throw Error(ErrorKind::shape,
                        fmt::format("dot of {} and {}: {} elements along the last axis of the "
                                    "first, {} along the first axis of the second",
                                    a, b, first.back(), second.front()),
                        at, "dot sums over these two axes, which must be equally long");
        case ir::ShapeRule::matmul:
            throw Error(
                ErrorKind::shape,
                fmt::format("matmul of {} and {}: {} columns, but {} rows", a, b, first.back(),
                            second[second.size() - std::min<std::size_t>(2, second.size())]),
                at, "the columns of the first are the rows of the second");
        case ir::ShapeRule::reshape:
            throw Error(ErrorKind::shape, fmt::format("cannot reshape {} to {}", a, b), at,
                        "both have the same number of elements");
        case ir::ShapeRule::concatenate:
            throw Error(ErrorKind::shape, fmt::format("cannot concatenate {} and {}", a, b), at,
                        "extents differ along the axis alone");
    }
    throw Error(ErrorKind::internal, "a check of shapes failed", at);
}

}  // namespace

void record_exception(const ProgramFrame* frame, std::int64_t iteration) {
    LoopKernelRun::of(frame).record_exception(iteration);
}

void throw_shapes(std::span<const std::int64_t> first, std::span<const std::int64_t> second,
                  const Location& at) {
    const std::int64_t last = second.empty() ? 0 : second.back();
    if (last == core_shapes)
        throw Error(ErrorKind::shape,
                    fmt::format("dimensions of a generalised ufunc's operands differ: {} and {}",
                                first[0], second[0]),
                    at,
                    "inside of a kernel, core dimensions of one name are equal, and so are loop "
                    "dimensions of one place");
    if (last < 0)
        throw_rule(static_cast<ir::ShapeRule>(last), first, second.first(second.size() - 1), at);
    throw Error(ErrorKind::shape,
                fmt::format("cannot broadcast {} with {}", to_string(Shape(first)),
                            to_string(Shape(second))),
                at, "extents must be equal, or one of them 1 in an argument or by a constant");
}

void run_loop_kernel(const LoopKernelVariant& variant, std::span<const OperandView> views,
                     bool parallel, const kiln::detail::DefaultEnvironment& environment,
                     std::vector<kiln::detail::JitValue>* results,
                     const std::source_location& where) {
    const ir::Kernel& kernel = variant.kernel->kernel;
    LoopKernelRun run(variant, parallel, environment, where);
    constexpr std::size_t usual_words = 128;
    std::array<std::int64_t, usual_words> usual;
    std::vector<std::int64_t> many;
    const std::size_t size = abi::program_word::params + variant.frame_words;
    std::int64_t* words = usual.data();
    if (size > usual_words) {
        many.resize(size);
        words = many.data();
    }
    auto* frame = new (words) ProgramFrame{&LoopKernelRun::runtime, &run};
    constexpr std::size_t usual_results = 4;
    union Few {
        Few() {}  // made where one is used
        std::array<Scalar, usual_results> scalars;
    } few;
    std::vector<Scalar> more;
    Scalar* scalars = few.scalars.data();
    if (variant.results.size() > usual_results) {
        more.resize(variant.results.size());
        scalars = more.data();
    }
    std::size_t scalar_count = 0;
    for (std::size_t p = 0; p < kernel.params.size(); ++p) {
        const ir::Param& param = kernel.params[p];
        std::int64_t* at = words + abi::program_word::params + variant.offsets[p];
        if (p < views.size()) {
            const OperandView& v = views[p];
            if (param.access == ir::Access::value) {
                std::memcpy(at, v.data, size_of(param.dtype));
                continue;
            }
            std::memcpy(at, &v.data, sizeof v.data);
            for (int d = 0; d < param.rank; ++d) {
                const auto axis = static_cast<unsigned>(d);
                at[abi::program_word::extent(axis)] = v.extents[d];
                at[abi::program_word::stride(axis, param.rank)] = v.strides[d];
            }
        } else if (!ir::is_made_by_kernel(param.access)) {
            Scalar& s = *new (&scalars[scalar_count++]) Scalar;
            s.dtype = param.dtype;
            const std::byte* data = s.bytes.data();
            std::memcpy(at, &data, sizeof data);
        }
    }
    variant.entry(frame);
    if (variant.drops_flags) kiln::detail::write_float_word(environment.word());
    run.finish();
    if (results == nullptr) return;
    std::size_t scalar = 0;
    for (const std::uint32_t p : variant.results) {
        if (ir::is_made_by_kernel(kernel.params[p].access))
            results->emplace_back(run.take(p));
        else
            results->emplace_back(scalars[scalar++]);
    }
}

}  // namespace kiln::engine

void kiln::detail::record_exception(const void* frame, std::int64_t iteration) noexcept {
    engine::record_exception(static_cast<const engine::ProgramFrame*>(frame), iteration);
}
