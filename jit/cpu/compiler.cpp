#include "jit/cpu/compiler.h"

#include "codegen/llvm/attributes.h"
#include "codegen/llvm/transforms/conditional_sums.h"
#include "codegen/llvm/transforms/loop_vectoriser.h"
#include "codegen/llvm/transforms/saturated_casts.h"
#include "codegen/llvm/transforms/scalar_addresses.h"
#include "codegen/llvm/transforms/shared_loads.h"
#include "codegen/llvm/transforms/short_vectors.h"
#include "codegen/llvm/transforms/strided_loads.h"
#include "codegen/llvm/transforms/whole_gathers.h"
#include "jit/cpu/allocator.h"

#include <llvm/CodeGen/MachineModuleInfo.h>
#include <llvm/CodeGen/Passes.h>
#include <llvm/CodeGen/TargetPassConfig.h>
#include <llvm/IR/DiagnosticInfo.h>
#include <llvm/IR/DiagnosticPrinter.h>
#include <llvm/IR/Module.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/Transforms/InstCombine/InstCombine.h>
#include <llvm/Transforms/Scalar.h>
#include <llvm/Transforms/Scalar/EarlyCSE.h>
#include <llvm/Transforms/Scalar/SROA.h>
#include <llvm/Transforms/Scalar/SimplifyCFG.h>
#include <llvm/Transforms/Utils.h>

#include <new>

namespace kiln::engine {

void fail(const std::string& what, llvm::Error error) {
    throw kiln::Error(ErrorKind::internal, what + ": " + llvm::toString(std::move(error)));
}

bool Diagnostics::handleDiagnostics(const llvm::DiagnosticInfo& info) {
    if (info.getSeverity() == llvm::DS_Error && error_.empty()) {
        llvm::raw_string_ostream out(error_);
        llvm::DiagnosticPrinterRawOStream printer(out);
        info.print(printer);
    }
    if (const auto* remark = llvm::dyn_cast<llvm::DiagnosticInfoIROptimization>(&info);
        remark != nullptr && listens_to(remark->getPassName()))
        hear(*remark);
    return true;
}

/// The vectoriser gives its reasons as analyses, at any block of the loop, before it says at the
/// loop's head what became of that.
void Diagnostics::hear(const llvm::DiagnosticInfoIROptimization& remark) {
    if (llvm::isa<llvm::OptimizationRemarkAnalysis>(remark)) {
        const std::string message = remark.getMsg();
        llvm::StringRef text = message;
        text.consume_front("loop not vectorized: ");
        reason_ = text.str();
        return;
    }
    const std::string reason = std::exchange(reason_, {});
    const auto* head = llvm::dyn_cast_or_null<llvm::BasicBlock>(remark.getCodeRegion());
    llvm::StringRef name = head != nullptr ? head->getName() : llvm::StringRef();
    codegen::VectorisedLoop loop{.lanes = 1, .registers = 1, .refused = reason};
    if (!name.consume_front("loop") || name.consumeInteger(10, loop.program) ||
        !name.consume_front("_") || name.consumeInteger(10, loop.loop))
        return;
    for (const auto& argument : remark.getArgs()) {
        const llvm::StringRef value = argument.Val;
        if (argument.Key == "VectorizationFactor") value.getAsInteger(10, loop.lanes);
        if (argument.Key == "InterleaveCount") value.getAsInteger(10, loop.registers);
    }
    loops_.push_back(std::move(loop));
}

namespace {

void check(const std::string& what, llvm::Error error) {
    if (error) fail(what, std::move(error));
}

/// Takes what LLVM's choice of passes for machine code adds, and passes it on
///  - without the reduction of the strength of subscripts, which takes half of the time for stencils
///    and makes their code no faster;
///  - with the allocator by pressure instead of the greedy one, where that is asked for.
/// LLVM has options for both, but those are the process's.
class ChosenPasses final : public llvm::legacy::PassManagerBase {
  public:
    ChosenPasses(llvm::legacy::PassManager& passes, bool by_pressure)
        : passes_(passes), by_pressure_(by_pressure) {}

    void add(llvm::Pass* added) override {
        std::unique_ptr<llvm::Pass> pass(added);
        static const llvm::AnalysisID reduction = id_of(llvm::createLoopStrengthReducePass()),
                                      freezes = id_of(llvm::createCanonicalizeFreezeInLoopsPass());
        const llvm::AnalysisID id = pass->getPassID();
        if (id == reduction || id == freezes) return;
        // A greedy allocator comes for tiles first, if at all; the registers of vectors and integers
        // are those of the one before the rewriter.
        if (greedy_ != nullptr && id == &llvm::VirtRegRewriterID) {
            greedy_.reset();
            add_allocator_by_pressure(passes_);
        } else if (greedy_ != nullptr) {
            passes_.add(greedy_.release());
        }
        if (by_pressure_ && id == &llvm::RAGreedyID)
            greedy_ = std::move(pass);
        else
            passes_.add(pass.release());
    }

  private:
    static llvm::AnalysisID id_of(llvm::Pass* made) {
        return std::unique_ptr<llvm::Pass>(made)->getPassID();
    }

    llvm::legacy::PassManager& passes_;
    bool by_pressure_;
    std::unique_ptr<llvm::Pass> greedy_;
};

}  // namespace

/// Passes from a module to its object, for many modules: to make them takes longer than most of
/// them take for a small kernel (0.5 ms for 80 of them).
struct Compiler::ObjectPasses {
    llvm::SmallVector<char, 0> bytes;
    llvm::raw_svector_ostream out{bytes};
    llvm::legacy::PassManager passes;
};

Compiler::~Compiler() = default;

Compiler::Compiler(llvm::orc::JITTargetMachineBuilder target, codegen::VectorIsa isa)
    : machine_(engine::check("no target machine", target.createTargetMachine())),
      builder_(machine_.get()),
      isa_(isa) {
    builder_.registerPipelineParsingCallback(
        [](llvm::StringRef name, llvm::FunctionPassManager& passes,
           llvm::ArrayRef<llvm::PassBuilder::PipelineElement>) {
            if (name != codegen::LoopVectoriser::pipeline_name) return false;
            passes.addPass(codegen::LoopVectoriser());
            return true;
        });
    codegen::LoopVectoriser::add_analyses(functions_);
    builder_.registerModuleAnalyses(modules_);
    builder_.registerCGSCCAnalyses(call_graphs_);
    builder_.registerFunctionAnalyses(functions_);
    builder_.registerLoopAnalyses(loops_);
    builder_.crossRegisterProxies(loops_, functions_, call_graphs_, modules_);
    straight_.addPass(llvm::EarlyCSEPass());
    straight_.addPass(llvm::InstCombinePass(llvm::InstCombineOptions().setMaxIterations(1)));
    branching_.addPass(llvm::SROAPass(llvm::SROAOptions::PreserveCFG));
    branching_.addPass(llvm::EarlyCSEPass());
    branching_.addPass(llvm::InstCombinePass(llvm::InstCombineOptions().setMaxIterations(1)));
    branching_.addPass(llvm::SimplifyCFGPass());
    check("the pipeline for loops around vectors",
          builder_.parsePassPipeline(
              around_,
              "sroa,early-cse<memssa>,simplifycfg,instcombine<max-iterations=1;no-verify-fixpoint>,"
              "loop-simplify,lcssa,loop-mssa(loop-rotate,licm<allowspeculation>),"
              "early-cse<memssa>,simplifycfg"));
}

void Compiler::optimize(llvm::Module& module, Shape shape, bool flags_of_data) {
    llvm::FunctionPassManager& passes = shape == Shape::straight ? straight_ : branching_;
    strided_.clear();
    if (shape == Shape::looping) avoid_gathers(module);
    for (llvm::Function& f : module) {
        if (f.isDeclaration()) continue;
        if (shape != Shape::looping) {
            passes.run(f, functions_);
        } else if (f.hasFnAttribute(codegen::attribute::vector_code)) {
            branching_.run(f, functions_);
        } else if (f.hasFnAttribute(codegen::attribute::around_vector_code)) {
            around_.run(f, functions_);
        } else {
            looping(f).run(f, functions_);
            codegen::choose_terms(f);
            codegen::saturate_vectors(f);
            codegen::take_gathers_apart(f);
            codegen::compute_addresses_as_scalars(f);
            if (isa_ != codegen::VectorIsa::sse2)
                llvm::append_range(strided_, codegen::join_strided_loads(f));
            if (isa_ == codegen::VectorIsa::avx512) codegen::share_loads(f);
        }
    }
    if (flags_of_data) codegen::fill_quotients(module);
    loops_.clear();
    functions_.clear();
    modules_.clear();
}

llvm::SmallVector<char, 0> Compiler::generate(llvm::Module& module, llvm::CodeGenFileType type) {
    bool is_long = false, calls = false;
    for (const llvm::Function& f : module) {
        is_long = is_long || f.hasFnAttribute(codegen::attribute::long_body);
        calls = calls || (f.isDeclaration() && !f.isIntrinsic());
    }
    const CodeShape shape = !is_long ? CodeShape::usual
                            : calls  ? CodeShape::long_with_calls
                                     : CodeShape::long_loop;
    // What writes the lines of a module stays with that module.
    const bool kept =
        type == llvm::CodeGenFileType::ObjectFile && module.debug_compile_units().empty();
    std::unique_ptr<ObjectPasses> passes;
    if (kept) passes = std::move(objects_[static_cast<std::size_t>(shape)]);
    try {
        if (!passes) {
            passes = std::make_unique<ObjectPasses>();
            if (!add_passes(passes->passes, passes->out, shape, type))
                throw kiln::Error(ErrorKind::internal, "LLVM cannot emit code for this target");
        }
        passes->passes.run(module);
    } catch (const std::bad_alloc&) {
        static_cast<void>(passes.release());  // stopped in the middle of something
        throw;
    }
    llvm::SmallVector<char, 0> bytes = std::exchange(passes->bytes, {});
    if (kept) objects_[static_cast<std::size_t>(shape)] = std::move(passes);
    return bytes;
}

/// The pipeline for a function of scalar loops. Passes that few functions profit from run where the
/// emitter found a reason: most of their time is spent on functions that they don't change.
llvm::FunctionPassManager& Compiler::looping(const llvm::Function& f) {
    const bool unswitch = f.hasFnAttribute(codegen::attribute::invariant_branches),
               stores = f.hasFnAttribute(codegen::attribute::conditional_stores),
               carries = f.hasFnAttribute(codegen::attribute::carried_values);
    auto& pipeline = looping_[(unswitch ? 1U : 0U) | (stores ? 2U : 0U) | (carries ? 4U : 0U)];
    if (pipeline) return *pipeline;
    const std::string combine = "instcombine<max-iterations=1;no-verify-fixpoint>,";
    const std::string vectorise = codegen::LoopVectoriser::pipeline_name;
    pipeline.emplace();
    check("the pipeline for loops",
          builder_.parsePassPipeline(
              *pipeline,
              "sroa,early-cse<memssa>,simplifycfg," + combine +
                  "loop-simplify,lcssa,loop-mssa(loop-rotate,licm<allowspeculation>,"
                  "simple-loop-unswitch<" +
                  (unswitch ? "nontrivial" : "no-nontrivial") +
                  ">),simplifycfg<hoist-common-insts;sink-common-insts>," +
                  // Where branches store, values that may come from a store or from memory
                  // become phis, which the vectoriser turns into selects.
                  (stores ? "gvn," : "") + combine +
                  "loop-simplify,lcssa,loop(loop-deletion,loop-unroll-full),sroa,"
                  "early-cse<memssa>," +
                  vectorise + "," + (carries ? "loop-load-elim," : "") +
                  "slp-vectorizer,early-cse," + combine + "loop-unroll<O2;no-runtime>," + combine +
                  "loop-simplify,lcssa,loop-mssa(licm<allowspeculation>),early-cse<memssa>,"
                  "simplifycfg"));
    return *pipeline;
}

/// LLVM takes gathers and scatters for cheap where the CPU has AVX-512. They take as long as loads
/// one by one at best, and its vectorisers would put chains of scalar operations into lanes for
/// them.
void Compiler::avoid_gathers(llvm::Module& module) {
    for (llvm::Function& f : module)
        if (f.hasFnAttribute(codegen::attribute::no_gathers))
            f.addFnAttr("target-features", machine_->getTargetFeatureString().str() +
                                               ",+prefer-no-gather,+prefer-no-scatter");
}

/// What LLVMTargetMachine::addPassesToEmitFile adds, but for what ChosenPasses takes out, and but
/// for long bodies. More constants than registers are best left in memory, as operands, instead of
/// being moved out of the loop; and in one loop without calls, the basic register allocator takes a
/// fifth of the greedy one's time, for code that is as fast where it spills nothing.
bool Compiler::add_passes(llvm::legacy::PassManager& passes, llvm::raw_pwrite_stream& out,
                          CodeShape shape, llvm::CodeGenFileType type) {
    auto& machine = static_cast<llvm::LLVMTargetMachine&>(*machine_);
    auto* const information = new llvm::MachineModuleInfoWrapperPass(&machine);
    ChosenPasses chosen(passes, shape == CodeShape::long_loop);
    llvm::TargetPassConfig* const config = machine.createPassConfig(chosen);
    config->setDisableVerify(true);
    if (shape != CodeShape::usual) config->disablePass(&llvm::EarlyMachineLICMID);
    passes.add(config);
    passes.add(information);
    if (config->addISelPasses()) return false;
    config->addMachinePasses();
    config->setInitialized();
    if (machine.addAsmPrinter(passes, out, nullptr, type, information->getMMI().getContext()))
        return false;
    passes.add(llvm::createFreeMachineFunctionPass());
    return true;
}

}  // namespace kiln::engine
