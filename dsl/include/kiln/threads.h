// What explicit kernels (kiln/cuda.h) are written with: where a thread is, what threads of a block share,
// where they wait for each other, and what lanes of a warp tell each other. Outside of an explicit kernel
// each of these is Error usage. What is asked of a device here is meant as CUDA means it.
#pragma once
#include <kiln/kernel.h>

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <utility>

namespace kiln {

/// The words of explicit kernels, as members of kiln::cuda. Axes are 0, 1 and 2: x, y and z. Masks name the
/// lanes of a warp that take part, all of them where none is given; each of these must come.
struct ThreadWords {
    using Where = std::source_location;                     ///< the user's line
    static constexpr std::uint32_t all_lanes = 0xffffffff;  ///< of a warp

    /// Where a thread is in its block, and its block in the launch: i64.
    static Value thread_idx(int axis = 0, Where where = Where::current());
    static Value block_idx(int axis = 0, Where where = Where::current());
    static Value block_dim(int axis = 0, Where where = Where::current());  ///< threads of a block
    static Value grid_dim(int axis = 0, Where where = Where::current());   ///< blocks
    /// The number of the thread among all of the launch along an axis, and how many there are.
    static Value grid(int axis = 0, Where where = Where::current());
    static Value grid_size(int axis = 0, Where where = Where::current());
    /// The same along the first n axes: const auto [i, j] = cuda::grid<2>();
    template <int n>
        requires(n >= 1 && n <= 3)
    static std::array<Value, n> grid(Where where = Where::current()) {
        return [&]<int... axis>(std::integer_sequence<int, axis...>) {
            return std::array<Value, n>{grid(axis, where)...};
        }(std::make_integer_sequence<int, n>());
    }
    /// Of its warp of 32 threads.
    static Value lane(Where where = Where::current());

    // --- shared memory: an array of a block's threads. Its contents are undefined at first; what other
    // --- threads store is seen behind a barrier ---
    /// An array of constant extents. Errors: usage (an extent below 1), unsupported (more than 48 KiB in
    /// a block).
    template <Element T>
    static InOut shared(std::int64_t e0, std::int64_t e1 = 0, std::int64_t e2 = 0,
                        std::int64_t e3 = 0, Where where = Where::current()) {
        const std::int64_t extents[] = {e0, e1, e2, e3};
        int rank = 4;
        while (rank > 1 && extents[rank - 1] == 0) --rank;
        return shared(dtype_of<T>, std::span(extents, static_cast<std::size_t>(rank)), where);
    }
    static InOut shared(DType dtype, std::initializer_list<std::int64_t> extents,
                        Where where = Where::current()) {
        return shared(dtype, std::span(extents.begin(), extents.size()), where);
    }
    static InOut shared(DType dtype, std::span<const std::int64_t> extents,
                        Where where = Where::current());
    /// An array in the memory whose bytes a launch gives (.shared), behind those that the kernel made
    /// before, at a multiple of 16 bytes. Made outside of loops and branches.
    template <Element T> static InOut dynamic_shared(Operand e0) {
        return dynamic_shared(dtype_of<T>, {e0}, e0.where());
    }
    template <Element T> static InOut dynamic_shared(Operand e0, Operand e1) {
        return dynamic_shared(dtype_of<T>, {e0, e1}, e0.where());
    }
    static InOut dynamic_shared(DType dtype, std::initializer_list<Operand> extents,
                                Where where = Where::current());

    /// A barrier: all threads of the block come to the same one.
    static void sync_threads(Where where = Where::current());
    /// And of how many threads the predicate holds (i32); whether it holds for all; for any.
    static Value sync_threads_count(Operand predicate);
    static Value sync_threads_and(Operand predicate);
    static Value sync_threads_or(Operand predicate);
    static void sync_warp(Where where = Where::current());
    static void sync_warp(Operand mask);

    // --- warps: values of i32, u32, i64, u64, f32, f64 ---
    /// What lane `lane` gives.
    static Value shuffle(Operand value, Operand lane);
    static Value shuffle(Operand value, Operand lane, Operand mask);
    /// What the lane so many below, above, or lane ^ by gives; a lane's own value where there is none.
    static Value shuffle_up(Operand value, Operand by);
    static Value shuffle_up(Operand value, Operand by, Operand mask);
    static Value shuffle_down(Operand value, Operand by);
    static Value shuffle_down(Operand value, Operand by, Operand mask);
    static Value shuffle_xor(Operand value, Operand by);
    static Value shuffle_xor(Operand value, Operand by, Operand mask);
    /// Whether the predicate holds for any, or each, of the lanes; those for which it does (u32).
    static Value vote_any(Operand predicate);
    static Value vote_any(Operand predicate, Operand mask);
    static Value vote_all(Operand predicate);
    static Value vote_all(Operand predicate, Operand mask);
    static Value ballot(Operand predicate);
    static Value ballot(Operand predicate, Operand mask);
    /// The lanes that give the same value (u32).
    static Value match_any(Operand value);
    static Value match_any(Operand value, Operand mask);

    // --- the order of stores and loads, as others see it ---
    static void fence_block(Where where = Where::current());   ///< threads of the block
    static void fence(Where where = Where::current());         ///< threads of the device
    static void fence_system(Where where = Where::current());  ///< the host too

    /// Atomic updates of elements of arrays and of shared memory: the old value. atomic_add, _min,
    /// _max, _and, _or and _xor (kiln/kernel.h) are there too.
    static Value atomic_sub(const ElementRef& element, Operand value);
    /// Of elements of 4 or 8 bytes.
    static Value atomic_exchange(const ElementRef& element, Operand value);
    /// Stores `value` where the element is `expected`. Of integers of 4 or 8 bytes.
    static Value atomic_compare_exchange(const ElementRef& element, Operand expected,
                                         Operand value);
};

}  // namespace kiln
