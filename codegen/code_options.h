// What calls ask of the code of a kernel, beside the kernel.
#pragma once

namespace kiln::codegen {

struct CodeOptions {
    /// Non-temporal stores to the first output of layout `unit`, which must be aligned to its
    /// element: for outputs far beyond the last cache.
    bool streaming = false;
    /// Of programs: no array that is written overlaps another one.
    bool noalias = false;
    /// Of programs: accesses outside of an array are faults.
    bool checked = false;
    /// The code raises the exception flags of its data and no others: lanes without an element
    /// compute what another one does. For kernels of raises_flags_of_data.
    bool flags_of_data = false;
    /// Of explicit kernels: threads of a block at most, blocks of a multiprocessor at least; 0: not said.
    unsigned most_threads = 0, least_blocks = 0;
    bool operator==(const CodeOptions&) const = default;
};

}  // namespace kiln::codegen
