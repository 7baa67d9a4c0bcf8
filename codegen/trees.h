// The order of reductions: the constants of the trees by which sums, products, extremes and scans are
// combined, for the passes that decide about it and make loops for it, and for those who call kernels.
// The bits of results depend on each of them, and on nothing else but shapes and the target. What they
// decide about a kernel stands in its text (ir::Lanes, ir::Tree), and backends read it there; they
// know of the constants that say what the text means, those of Tree::sums.
#pragma once
#include <cstdint>

namespace kiln::tree {

// ------------------------------------------------------------------------------ rows as lanes

/// Steps of vectors, groups of them and so on, that are combined before the next level begins.
inline constexpr std::uint64_t fan_in = 8;
/// Steps of so many lanes take the rows and pieces of loops that there are, 8192 columns, in three
/// levels: a few times 64. Narrower ones take a fourth.
inline constexpr unsigned lanes_of_three_levels = 16;

// ------------------------------------------------------------------------------ loops of programs

/// Iterations that one accumulator combines in the order in which they come.
inline constexpr std::int64_t block_iterations = 1024;
/// The same where its iterations run as lanes, which are combined by a tree.
inline constexpr std::int64_t vector_block_iterations = 8192;
/// Bytes of what the iterations of a block add, where that is combined by a tree, if so many
/// iterations have room in them.
inline constexpr std::int64_t block_bytes = 4096, least_block_iterations = 64;
/// Units of a parallel loop with reductions, at most.
inline constexpr std::int64_t max_units = 256;

/// Tree::sums: how a block adds the sums of its iterations. Up to `few_sums` of them, one after the
/// other. Of more, each `sum_row_bytes` are a row, of which the last one is filled up with -0; each
/// `sum_rows` rows are added pair by pair, neighbours first, into one, and those behind the last
/// such group stay, as long as there are so many; then row after row, and of the row that is left
/// the upper half to the lower one, until one element is.
inline constexpr std::uint64_t few_sums = 8, sum_rows = 8, sum_row_bytes = 64;

/// On devices: of parallel loops in scalar code each iteration is a block; serial loops add so many
/// sums one after the other, since a block that keeps more has no registers for them; and a scan has
/// so many lanes.
inline constexpr std::int64_t device_parallel_block = 1, device_serial_block = 8;
inline constexpr std::uint32_t device_scan_chunk = 1024;

// ------------------------------------------------------------------------------ rows added to rows

/// Rows of a group, which are added one after the other, and of a block of groups.
inline constexpr std::int64_t group_rows = 16, block_rows = 256;

// ------------------------------------------------------------------------------ calls of reductions

/// Columns that a row kernel combines; longer rows are cut at multiples of it.
inline constexpr std::int64_t block_columns = 4096;
/// Rows that one pass combines, where they are kept, and passes that follow each other.
inline constexpr int rows_of_a_pass = 8;
inline constexpr std::int64_t passes_of_a_block = 16;
/// Columns of a block of a scan, which is scanned by itself and combined with what came before it.
inline constexpr std::int64_t scan_columns = 4096;
/// Bytes of the blocks of a scan's results that are taken together: they stay in a core's second-level
/// cache from the pass that finds their totals to the one that scans them.
inline constexpr std::int64_t scan_group_bytes = 131'072;

}  // namespace kiln::tree
