#include "jit/compile/c_object.h"

#include "codegen/exported/kernel.h"
#include "jit/compile/c_header.h"
#include "jit/compile/target.h"

#include <dlfcn.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include <fmt/format.h>

namespace kiln::engine {
namespace {

using abi::ExportedCpu;
using abi::ExportedRole;

ExportedCpu level_of(CpuUnit unit) {
    switch (unit) {
        case CpuUnit::sse2: return ExportedCpu::v2;
        case CpuUnit::avx2: return ExportedCpu::v3;
        case CpuUnit::avx512: return ExportedCpu::v4;
        case CpuUnit::host: break;
    }
    switch (CpuTarget::once().isa) {
        case codegen::VectorIsa::sse2: return ExportedCpu::v2;
        case codegen::VectorIsa::avx2: return ExportedCpu::v3;
        case codegen::VectorIsa::avx512: return ExportedCpu::v4;
    }
    __builtin_unreachable();
}
codegen::VectorIsa isa_of(ExportedCpu cpu) {
    return cpu == ExportedCpu::v2   ? codegen::VectorIsa::sse2
           : cpu == ExportedCpu::v3 ? codegen::VectorIsa::avx2
                                    : codegen::VectorIsa::avx512;
}

[[noreturn]] void refuse(const KernelOwner& owner, const std::string& why, Location where,
                         std::string hint = {}) {
    if (where.line == 0) where = owner.where;
    throw Error(ErrorKind::unsupported, fmt::format("{} cannot be exported: {}", owner.name, why),
                where, std::move(hint));
}

/// f(node) of the kernel and of what was outlined from it.
template <class F> void each_node(const ir::Kernel& kernel, const F& f) {
    for (const ir::Node& n : kernel.nodes) f(kernel, n);
    for (const ir::Kernel& part : kernel.outlined) each_node(part, f);
    for (const ir::Kernel& part : kernel.combines) each_node(part, f);
}

void refuse_what_stays_here(const CExport& what, const ir::Kernel& kernel) {
    each_node(kernel, [&](const ir::Kernel& of, const ir::Node& n) {
        if (n.kind == ir::NodeKind::call || n.kind == ir::NodeKind::call_pure)
            refuse(what.owner,
                   fmt::format("it calls {}, a function of this program", of.functions[n.aux].name),
                   of.location(n.loc));
    });
    for (const ir::Param& p : kernel.params)
        if (p.access == ir::Access::result)
            refuse(what.owner, "it returns an array", {}, "let the caller give it as an Out");
}

/// The line of the operation that calls a function of SLEEF.
Location line_of_sleef(const ir::Kernel& kernel, std::string_view symbol) {
    Location found;
    each_node(kernel, [&](const ir::Kernel& of, const ir::Node& n) {
        if (n.kind != ir::NodeKind::op || found.line != 0) return;
        const std::string_view sleef = ir::info(n.op).sleef;
        const auto name = sleef.substr(0, sleef.find(','));
        if (!name.empty() && symbol.find("_" + std::string(name)) != symbol.npos)
            found = of.location(n.loc);
    });
    return found;
}

/// Everything that the object calls is in the C library, libm or the runtime.
void check_calls(const CExport& what, const ir::Kernel& kernel,
                 const std::vector<std::string>& calls) {
    void* const libm = dlopen("libm.so.6", RTLD_LAZY | RTLD_LOCAL);  // and the C library with it
    for (const std::string& call : calls) {
        if (call.starts_with("kiln_rt_") || call == "_GLOBAL_OFFSET_TABLE_") continue;
        if (call.starts_with("Sleef_"))
            refuse(what.owner, fmt::format("it calls {} of SLEEF", call),
                   line_of_sleef(kernel, call),
                   call.starts_with("Sleef_cinz_")
                       ? "for CPUs with FMA most functions need none: .cpu = CpuUnit::avx2"
                       : "");
        if (libm == nullptr || dlsym(libm, call.c_str()) == nullptr)
            refuse(what.owner,
                   fmt::format("its code calls {}, which is not in the C library", call), {});
    }
    if (libm != nullptr) dlclose(libm);
}

abi::ExportedWord word_of(DType dtype) {
    switch (kind_of(dtype)) {
        case Kind::boolean: return abi::ExportedWord::boolean;
        case Kind::complex: return abi::ExportedWord::pointer;
        case Kind::real:
            if (dtype == DType::f32) return abi::ExportedWord::f32;
            if (dtype == DType::f64) return abi::ExportedWord::f64;
            return abi::ExportedWord::i16;
        case Kind::signed_integer:
        case Kind::unsigned_integer: break;
    }
    switch (size_of(dtype)) {
        case 1: return abi::ExportedWord::i8;
        case 2: return abi::ExportedWord::i16;
        case 4: return abi::ExportedWord::i32;
        default: return abi::ExportedWord::i64;
    }
}

/// The C function of a kernel after its passes.
class Function {
  public:
    Function(const CExport& what, const ir::Kernel& kernel) : what_(what), kernel_(kernel) {
        made_.params.resize(kernel.params.size());
        made_.kernel.is_program = kernel.is_program();
        if (!kernel.is_program()) made_.words.push_back(abi::ExportedWord::i64);
        for (std::uint32_t p = 0; p < kernel.params.size(); ++p) add(p);
        for (const std::uint32_t p : what.results) add_result(p);
        made_.kernel.params = static_cast<std::uint32_t>(made_.params.size());
    }
    abi::ExportedFunction take() { return std::move(made_); }
    std::vector<CParam> params() const { return params_; }

  private:
    void add(std::uint32_t p) {
        const ir::Param& param = kernel_.params[p];
        abi::ExportedParam& made = made_.params[p];
        made.bytes = static_cast<std::uint16_t>(size_of(param.dtype));
        made.word = static_cast<std::uint16_t>(made_.words.size());
        made.rank = param.rank;
        made.written = param.access != ir::Access::in && param.access != ir::Access::value;
        made_.kernel.frame_words += abi::program_word::count(param);
        if (ir::is_made_by_kernel(param.access)) {
            made.role = ExportedRole::made;
            return;
        }
        if (std::ranges::find(what_.results, p) != what_.results.end()) return;
        const bool is_value = param.access == ir::Access::value ||
                              (!kernel_.is_program() && param.layout == ir::Layout::uniform);
        if (is_value) made.rank = 0;
        const abi::ExportedWord word = word_of(param.dtype);
        made.role = !is_value                            ? ExportedRole::array
                    : word == abi::ExportedWord::pointer ? ExportedRole::reference
                                                         : ExportedRole::value;
        params_.push_back({.name = param.name,
                           .dtype = param.dtype,
                           .role = made.role,
                           .rank = made.rank,
                           .written = made.written});
        made_.words.push_back(is_value ? word : abi::ExportedWord::pointer);
        if (kernel_.is_program() && made.rank > 0)
            made_.words.insert(made_.words.end(), 2, abi::ExportedWord::pointer);
    }
    void add_result(std::uint32_t p) {
        abi::ExportedParam& made = made_.params[p];
        made.role = ExportedRole::result;
        made.word = static_cast<std::uint16_t>(made_.words.size());
        made_.words.push_back(abi::ExportedWord::pointer);
        params_.push_back({.name = kernel_.params[p].name,
                           .dtype = kernel_.params[p].dtype,
                           .role = made.role,
                           .rank = 0,
                           .written = true});
    }

    const CExport& what_;
    const ir::Kernel& kernel_;
    abi::ExportedFunction made_;
    std::vector<CParam> params_;
};

void write_file(const std::string& path, const char* data, std::size_t size, Location where) {
    std::ofstream file(path, std::ios::binary);
    file.write(data, static_cast<std::streamsize>(size));
    file.close();
    if (!file)
        throw Error(ErrorKind::usage,
                    fmt::format("{} cannot be written: {}", path, std::strerror(errno)), where);
}

/// saxpy.h for saxpy.o.
std::string header_beside(const std::string& object) {
    const std::size_t name = object.rfind('/') + 1, dot = object.rfind('.');
    return object.substr(0, dot != object.npos && dot > name ? dot : object.size()) + ".h";
}

}  // namespace

void export_object(CExport what, const std::string& object, const ExportOptions& options,
                   Location where) {
    const kiln::detail::DefaultEnvironment environment;
    const std::string symbol = options.symbol.empty() ? what.owner.name : options.symbol;
    if (!is_c_name(symbol) || symbol.starts_with("kiln_rt_"))
        throw Error(ErrorKind::usage,
                    fmt::format("'{}' cannot be the name of a function of C", symbol), where,
                    "give one by .symbol");
    if (what.owner.target != BackendTarget::cpu)
        refuse(what.owner, "its target is not the CPU", where);
    const ExportedCpu cpu = level_of(options.cpu);
    const Passed passed = passed_for(isa_of(cpu), std::move(what.job), what.owner);
    refuse_what_stays_here(what, passed.kernel);
    Function function(what, passed.kernel);
    const std::vector<CParam> params = function.params();
    abi::ExportedFunction made = function.take();
    made.symbol = symbol;
    made.kernel.cpu = cpu;
    made.kernel.threads = what.parallel;
    made.kernel.drops_flags = !passed.options.flags_of_data;
    made.kernel.keeps_flush_to_zero = what.keeps_flush_to_zero;
    const ExportedObject file =
        backend(BackendTarget::cpu).export_object(passed.kernel, passed.options, made);
    check_calls(what, passed.kernel, file.calls);
    const std::string header =
        c_header({.symbol = symbol,
                  .kernel = fmt::format("{}({})", what.owner.name, what.types),
                  .where = what.owner.where,
                  .is_map = !passed.kernel.is_program(),
                  .cpu = cpu,
                  .threads = what.parallel,
                  .params = params,
                  .note = what.note});
    write_file(object, reinterpret_cast<const char*>(file.object.data()), file.object.size(),
               where);
    write_file(options.header.empty() ? header_beside(object) : options.header, header.data(),
               header.size(), where);
}

}  // namespace kiln::engine
