#include "jit/cpu/link.h"

#include "codegen/math/careful.h"

#include <kiln/error.h>
#include <kiln/float16.h>

#include <llvm/ExecutionEngine/JITLink/JITLink.h>
#include <llvm/ExecutionEngine/JITLink/JITLinkMemoryManager.h>

#include <dlfcn.h>

#include <bit>
#include <exception>
#include <utility>

/// Any of SLEEF's functions: by its address the library is found, whose others are looked up by
/// name.
extern "C" double Sleef_sind1_u10purec(double);

namespace kiln::engine {

namespace jitlink = llvm::jitlink;
using llvm::BitmaskEnumDetail::operator&;
using llvm::orc::ExecutorAddr;
using llvm::orc::MemProt;

/// The memory of one link. What it throws is kept for the caller of the linker, since nothing may
/// leave LLVM's frames by an exception.
class Linker::Memory final : public jitlink::JITLinkMemoryManager {
  public:
    explicit Memory(CodeSpace& space) : space_(space) {}

    void allocate(const jitlink::JITLinkDylib* /*none*/, jitlink::LinkGraph& graph,
                  OnAllocatedFunction then) override {
        jitlink::BasicLayout layout(graph);
        std::uint64_t size = 0, alignment = CodeSpace::alignment;
        for (auto& [group, segment] : layout.segments()) {
            if ((group.getMemProt() & MemProt::Write) != MemProt::None)
                return then(failed(std::make_exception_ptr(
                    Error(ErrorKind::internal, "generated code has variables of its own"))));
            alignment = std::max(alignment, segment.Alignment.value());
            size = offset(size, segment) + segment.ContentSize + segment.ZeroFillSize;
        }
        try {
            block = space_.allocate(size + alignment - CodeSpace::alignment);
            content_.assign(size, std::byte(0));
        } catch (...) {
            return then(failed(std::current_exception()));
        }
        const std::uint64_t low = reinterpret_cast<std::uintptr_t>(block.address()),
                            base = (low + alignment - 1) / alignment * alignment;
        shift_ = base - low;
        std::uint64_t at = 0;
        for (auto& [group, segment] : layout.segments()) {
            at = offset(at, segment);
            segment.Addr = ExecutorAddr(base + at);
            segment.WorkingMem = reinterpret_cast<char*>(content_.data()) + at;
            at += segment.ContentSize + segment.ZeroFillSize;
        }
        if (auto error = layout.apply()) return then(std::move(error));
        then(std::make_unique<InFlight>(*this));
    }
    void deallocate(std::vector<FinalizedAlloc> all, OnDeallocatedFunction then) override {
        for (FinalizedAlloc& one : all) one.release();  // the block gives the memory back
        then(llvm::Error::success());
    }

    CodeSpace::Block block;
    std::exception_ptr error;

  private:
    /// Code and what it reads never share a line of the cache.
    static std::uint64_t offset(std::uint64_t from, const jitlink::BasicLayout::Segment& segment) {
        return llvm::alignTo(from, std::max(segment.Alignment, llvm::Align(CodeSpace::alignment)));
    }
    llvm::Error failed(std::exception_ptr what) {
        error = std::move(what);
        return llvm::make_error<jitlink::JITLinkError>("no memory for code");
    }

    struct InFlight final : InFlightAlloc {
        Memory& memory;
        explicit InFlight(Memory& m) : memory(m) {}
        void abandon(OnAbandonedFunction then) override { then(llvm::Error::success()); }
        void finalize(OnFinalizedFunction then) override {
            try {
                // The bytes before it are nobody's.
                memory.content_.insert(memory.content_.begin(), memory.shift_, std::byte(0));
                memory.block.fill(memory.content_);
            } catch (...) {
                return then(memory.failed(std::current_exception()));
            }
            then(FinalizedAlloc(ExecutorAddr::fromPtr(memory.block.address())));
        }
    };

    CodeSpace& space_;
    std::vector<std::byte> content_;  // from the shift on
    std::uint64_t shift_ = 0;
};

/// What one link asks for and tells. All of it happens within jitlink::link.
class Linker::Context final : public jitlink::JITLinkContext {
  public:
    struct Outcome {
        ExecutorAddr entry;
        jitlink::JITLinkMemoryManager::FinalizedAlloc memory;
        std::string error;
    };
    Context(const Linker& linker, Memory& memory, const std::string& entry, Outcome& outcome)
        : JITLinkContext(nullptr),
          linker_(linker),
          memory_(memory),
          entry_(entry),
          outcome_(outcome) {}

    jitlink::JITLinkMemoryManager& getMemoryManager() override { return memory_; }
    void notifyFailed(llvm::Error error) override {
        outcome_.error = llvm::toString(std::move(error));
    }
    void lookup(const LookupMap& symbols,
                std::unique_ptr<jitlink::JITLinkAsyncLookupContinuation> then) override {
        jitlink::AsyncLookupResult found;
        for (const auto& [name, flags] : symbols) {
            void* const address = linker_.find(name.str());
            if (address == nullptr)
                return then->run(llvm::make_error<jitlink::JITLinkError>(
                    "generated code calls '" + name + "', which is not in this process"));
            found[name] = {ExecutorAddr::fromPtr(address), llvm::JITSymbolFlags::Exported};
        }
        then->run(std::move(found));
    }
    llvm::Error notifyResolved(jitlink::LinkGraph& graph) override {
        for (const jitlink::Symbol* symbol : graph.defined_symbols())
            if (symbol->hasName() && symbol->getName() == entry_)
                outcome_.entry = symbol->getAddress();
        return llvm::Error::success();
    }
    void notifyFinalized(jitlink::JITLinkMemoryManager::FinalizedAlloc memory) override {
        outcome_.memory = std::move(memory);
    }

  private:
    const Linker& linker_;
    Memory& memory_;
    const std::string& entry_;
    Outcome& outcome_;
};

Linker::Linker() {
    Dl_info sleef{};
    if (dladdr(reinterpret_cast<void*>(&Sleef_sind1_u10purec), &sleef) != 0)
        sleef_ = dlopen(sleef.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
}

/// f32 to f16, in the lowest bits, for CPUs without an instruction for it. The compiler's library
/// has the same function, but that one raises flags in x87, where nobody puts them back.
static float truncate_to_half(float x) {
    return std::bit_cast<float>(std::uint32_t(float16(x).bits));
}

void* Linker::find(const std::string& symbol) const {
    if (symbol == "__truncsfhf2") return reinterpret_cast<void*>(&truncate_to_half);
    if (auto* const careful = codegen::careful_function(symbol))
        return reinterpret_cast<void*>(careful);
    void* const address = sleef_ != nullptr ? dlsym(sleef_, symbol.c_str()) : nullptr;
    return address != nullptr ? address : dlsym(RTLD_DEFAULT, symbol.c_str());
}

LinkedCode Linker::link(llvm::MemoryBufferRef object, const std::string& entry) {
    const auto refuse = [](const std::string& what) {
        throw Error(ErrorKind::internal, "linking: " + what);
    };
    auto graph = jitlink::createLinkGraphFromObject(object);
    if (!graph) refuse(llvm::toString(graph.takeError()));
    // Nothing unwinds through kernels.
    if (auto* const frames = (*graph)->findSectionByName(".eh_frame"))
        (*graph)->removeSection(*frames);
    Memory memory(space_);
    Context::Outcome outcome;
    jitlink::link(std::move(*graph), std::make_unique<Context>(*this, memory, entry, outcome));
    if (outcome.memory) outcome.memory.release();
    if (memory.error) std::rethrow_exception(memory.error);
    if (!outcome.error.empty()) refuse(outcome.error);
    if (!outcome.entry) refuse("no symbol " + entry);
    return {std::move(memory.block), outcome.entry.toPtr<void*>()};
}

}  // namespace kiln::engine
