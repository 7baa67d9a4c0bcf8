// The runtime of compiled programs that were exported: parallel loops, memory, faults.
#pragma once
#include "codegen/exported/kernel.h"

#include <pthread.h>

namespace kiln::rt {

/// One run of a program: what ProgramFrame::host points at.
class ProgramRun : public abi::ProgramHost {
  public:
    ProgramRun(const abi::ExportedKernel& kernel, const abi::ExportedParam* params)
        : kernel_(kernel), params_(params) {}
    ~ProgramRun();
    ProgramRun(const ProgramRun&) = delete;
    ProgramRun& operator=(const ProgramRun&) = delete;

    static const abi::ProgramRuntime runtime;
    /// What the run came to: what ended it, else the fault of the lowest iteration.
    abi::ExportedStatus status() const { return error_ != ok ? error_ : fault_; }

  private:
    static constexpr abi::ExportedStatus ok = abi::ExportedStatus::ok;
    /// The memory of an array of the kernel's.
    struct Made {
        Made* next;
        std::size_t param;
        abi::ProgramBlock block;
    };
    Made* made(std::size_t param);
    static ProgramRun& of(const abi::ProgramFrame* frame) {
        return *static_cast<ProgramRun*>(frame->host);
    }
    void parallel(const abi::ProgramFrame* frame, abi::PieceFunction piece, const void* context,
                  std::int64_t trip, std::int64_t unit, std::int64_t schedule);
    void record_fault(std::int64_t site, std::int64_t iteration);
    bool allocate(const abi::ProgramFrame* frame, std::size_t param, const std::int64_t* extents);
    std::byte* enter(std::int64_t bytes);
    bool reserve(std::size_t param, const std::int64_t* extents, abi::ProgramBlock& block);
    std::int64_t bytes_of(std::size_t param, const std::int64_t* extents);
    void record_error(abi::ExportedStatus status);

    const abi::ExportedKernel& kernel_;
    const abi::ExportedParam* params_;
    pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
    std::int64_t part_ = 0;  // that runs: odd in parallel loops, in the order in which they come
    std::int64_t fault_part_ = 0, fault_iteration_ = 0;
    abi::ExportedStatus error_ = ok, fault_ = ok;
    Made* made_ = nullptr;
};

/// What a failed check is to callers from C.
abi::ExportedStatus status_of(std::int64_t site);

/// The byte strides of C order; false where the array has more bytes than there are, or a negative extent.
bool c_strides(const std::int64_t* extents, unsigned rank, std::int64_t bytes,
               std::int64_t* strides);

/// Words of a parameter in the frame.
inline std::int64_t words_of(const abi::ExportedParam& p) {
    return p.role == abi::ExportedRole::value || p.role == abi::ExportedRole::reference
               ? 2
               : 1 + 2 * std::int64_t(p.rank);
}

}  // namespace kiln::rt
