#include "jit/rt/program.h"

#include "jit/rt/pool.h"

#include <cstdlib>

#include <cstring>
#include <new>

namespace kiln::rt {

using abi::ExportedStatus;
using abi::ProgramFrame;

namespace {

constexpr std::int64_t alignment = 64;

/// Null where there is none.
void* get_memory(std::int64_t bytes) {
    if (bytes < 0 || bytes > INT64_MAX - alignment) return nullptr;
    const std::int64_t whole = (bytes + alignment - 1) / alignment * alignment;
    return aligned_alloc(alignment, static_cast<std::size_t>(whole > 0 ? whole : alignment));
}

class Lock {
  public:
    explicit Lock(pthread_mutex_t& mutex) : mutex_(mutex) { pthread_mutex_lock(&mutex_); }
    ~Lock() { pthread_mutex_unlock(&mutex_); }
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;

  private:
    pthread_mutex_t& mutex_;
};

}  // namespace

ExportedStatus status_of(std::int64_t site) {
    switch (abi::fault_site(site).check) {
        case ir::Check::division_by_zero:
        case ir::Check::negative_power: return ExportedStatus::division;
        case ir::Check::out_of_bounds:
        case ir::Check::outside_neighborhood: return ExportedStatus::bounds;
        case ir::Check::shapes: return ExportedStatus::shape;
        case ir::Check::empty: return ExportedStatus::empty;
    }
    __builtin_unreachable();
}

bool c_strides(const std::int64_t* extents, unsigned rank, std::int64_t bytes,
               std::int64_t* strides) {
    std::int64_t next = bytes;
    for (unsigned d = rank; d-- > 0;) {
        if (extents[d] < 0) return false;
        strides[d] = next;
        if (extents[d] > 0 && __builtin_mul_overflow(next, extents[d], &next)) return false;
    }
    return true;
}

const abi::ProgramRuntime ProgramRun::runtime{
    [](const ProgramFrame* frame, abi::PieceFunction piece, const void* context, std::int64_t trip,
       std::int64_t unit, std::int64_t schedule) {
        ProgramRun& run = of(frame);
        ++run.part_;
        run.parallel(frame, piece, context, trip, unit, schedule);
        ++run.part_;
    },
    [](const ProgramFrame* frame, std::int64_t site, std::int64_t iteration, std::int64_t /*about*/,
       const std::int64_t* /*numbers*/) { of(frame).record_fault(site, iteration); },
    [](const ProgramFrame* frame, std::int64_t param, const std::int64_t* extents) {
        return of(frame).allocate(frame, static_cast<std::size_t>(param), extents);
    },
    [](const ProgramFrame* frame, std::int64_t bytes) { return of(frame).enter(bytes); },
    [](const ProgramFrame*, std::byte* memory, std::int64_t) { free(memory); },
    [](const ProgramFrame* frame, std::int64_t param, const std::int64_t* extents,
       abi::ProgramBlock* block) {
        return of(frame).reserve(static_cast<std::size_t>(param), extents, *block);
    },
};

ProgramRun::~ProgramRun() {
    while (made_ != nullptr) {
        Made* const next = made_->next;
        free(made_->block.data);
        free(made_);
        made_ = next;
    }
}

void ProgramRun::parallel(const ProgramFrame* frame, abi::PieceFunction piece, const void* context,
                          std::int64_t trip, std::int64_t unit, std::int64_t schedule) {
    struct Pieces {
        const ProgramFrame* frame;
        abi::PieceFunction piece;
        const void* context;
        std::int64_t trip, unit;
    };
    const Pieces loop{frame, piece, context, trip, unit};
    const Work work{[](const void* of, std::int64_t first, std::int64_t last) {
                        const Pieces& l = *static_cast<const Pieces*>(of);
                        if (l.unit == 0) return l.piece(l.frame, l.context, first, last);
                        for (std::int64_t u = first; u < last; ++u) {
                            const std::int64_t end = (u + 1) * l.unit;
                            l.piece(l.frame, l.context, u * l.unit, end < l.trip ? end : l.trip);
                        }
                    },
                    &loop};
    const std::int64_t size = unit > 0 ? unit : 1, count = (trip + size - 1) / size;
    if (count <= 0) return;
    if (!kernel_.threads) return work(0, count);
    const auto [kind, flat, wanted] = abi::schedule_word(schedule);
    const std::int64_t chunk = wanted / size > 0 ? wanted / size : wanted > 0 ? 1 : 0;
    const std::int64_t threads = num_threads();
    switch (kind) {
        case ir::Schedule::automatic: return run_measured(count, flat, work);
        case ir::Schedule::static_:
            return run_pieces(count, chunk > 0 ? chunk : (count + threads - 1) / threads, work);
        case ir::Schedule::dynamic:
        case ir::Schedule::guided:
            return run_pieces(count, chunk > 0 ? chunk : 1 + (count - 1) / (16 * threads), work);
    }
    __builtin_unreachable();
}

void ProgramRun::record_fault(std::int64_t site, std::int64_t iteration) {
    const Lock lock(mutex_);
    const bool is_first = fault_ == ok || part_ < fault_part_ ||
                          (part_ == fault_part_ && iteration < fault_iteration_);
    if (!is_first) return;
    fault_ = status_of(site);
    fault_part_ = part_;
    fault_iteration_ = iteration;
}

void ProgramRun::record_error(ExportedStatus status) {
    const Lock lock(mutex_);
    if (error_ == ok) error_ = status;
}

/// Negative, and noted, where there is no such array.
std::int64_t ProgramRun::bytes_of(std::size_t param, const std::int64_t* extents) {
    const abi::ExportedParam& p = params_[param];
    std::int64_t bytes = p.bytes;
    bool negative = false, none = false, fits = true;
    for (unsigned d = 0; d < p.rank; ++d) {
        negative = negative || extents[d] < 0;
        none = none || extents[d] == 0;
        fits = fits && (extents[d] <= 0 || !__builtin_mul_overflow(bytes, extents[d], &bytes));
    }
    if (!negative && fits) return none ? 0 : bytes;
    record_error(negative ? ExportedStatus::shape : ExportedStatus::memory);
    return -1;
}

/// Null, and noted, where there is no memory for it.
ProgramRun::Made* ProgramRun::made(std::size_t param) {
    for (Made* known = made_; known != nullptr; known = known->next)
        if (known->param == param) return known;
    void* const memory = get_memory(sizeof(Made));
    if (memory == nullptr) {
        record_error(ExportedStatus::memory);
        return nullptr;
    }
    return made_ = new (memory) Made{made_, param, {}};
}

/// In a loop an array has the memory that it had in the iteration before, where there is room.
bool ProgramRun::allocate(const ProgramFrame* frame, std::size_t param,
                          const std::int64_t* extents) {
    Made* const array = made(param);
    if (array == nullptr || !reserve(param, extents, array->block)) return false;
    const abi::ExportedParam& p = params_[param];
    std::int64_t* words = reinterpret_cast<std::int64_t*>(const_cast<ProgramFrame*>(frame) + 1);
    for (std::size_t i = 0; i < param; ++i) words += words_of(params_[i]);
    std::memcpy(words, &array->block.data, sizeof array->block.data);
    std::memcpy(words + abi::program_word::extent(0), extents, p.rank * sizeof *extents);
    return c_strides(extents, p.rank, p.bytes, words + abi::program_word::stride(0, p.rank));
}

std::byte* ProgramRun::enter(std::int64_t bytes) {
    auto* const memory = static_cast<std::byte*>(get_memory(bytes));
    if (memory == nullptr) record_error(ExportedStatus::memory);
    return memory;
}

bool ProgramRun::reserve(std::size_t param, const std::int64_t* extents, abi::ProgramBlock& block) {
    const std::int64_t bytes = bytes_of(param, extents);
    if (bytes < 0) return false;
    if (bytes <= block.bytes && block.data != nullptr) return true;
    // What grows from iteration to iteration finds room for some time.
    constexpr std::int64_t most_ahead = 1 << 20;
    const std::int64_t half = block.bytes / 2, ahead = half < most_ahead ? half : most_ahead;
    const std::int64_t size = bytes > INT64_MAX - ahead ? bytes : bytes + ahead;
    free(block.data);
    block = {enter(size), size};
    return block.data != nullptr;
}

}  // namespace kiln::rt
