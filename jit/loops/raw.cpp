// Kernels of CUDA text: what their parameters are, and launches.
#include "codegen/cuda/emit.h"
#include "jit/call/arity.h"
#include "jit/call/operand.h"
#include "jit/compile/checked_mode.h"
#include "jit/loops/cuda_types.h"
#include "jit/loops/launch_shape.h"
#include "runtime/device/at_line.h"
#include "runtime/process.h"
#include "runtime/text.h"

#include <kiln/cuda.h>
#include <kiln/device.h>
#include <kiln/environment.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace kiln {
namespace {

std::string without_comments(std::string_view text) {
    std::string made;
    const auto skip = [&](std::string_view end) {
        text.remove_prefix(std::min(text.find(end, 2), text.size()));
    };
    while (!text.empty()) {
        if (text.starts_with("//")) {
            skip("\n");
        } else if (text.starts_with("/*")) {
            skip("*/");
            text.remove_prefix(std::min(text.size(), std::size_t(2)));
            made += ' ';
        } else {
            made += text.front();
            text.remove_prefix(1);
        }
    }
    return made;
}

bool is_word(char c) { return c == '_' || std::isalnum(static_cast<unsigned char>(c)) != 0; }

/// What stands between the parentheses behind the name of a __global__ function. Nothing where there is no
/// such function.
std::optional<std::string_view> list_of(std::string_view text, std::string_view function) {
    for (std::size_t at = text.find(function); at != text.npos; at = text.find(function, at + 1)) {
        const std::size_t end = at + function.size();
        if ((at > 0 && is_word(text[at - 1])) || (end < text.size() && is_word(text[end])))
            continue;
        const std::size_t open = text.find_first_not_of(detail::blanks, end);
        if (open == text.npos || text[open] != '(') continue;
        const std::string_view before = text.substr(0, at);
        const std::size_t last = before.find_last_of(";{}") + 1;  // 0: none
        const std::size_t close = text.find(')', open);
        if (before.find("__global__", last) != before.npos && close != text.npos)
            return text.substr(open + 1, close - open - 1);
    }
    return std::nullopt;
}

/// "float a", "const float* x": what a function takes.
std::vector<std::string> parameters_in(std::string_view list) {
    std::vector<std::string> all;
    if (detail::trimmed(list) == "void") return all;
    while (!detail::trimmed(list).empty()) {
        const std::size_t comma = std::min(list.find(','), list.size());
        all.emplace_back(detail::trimmed(list.substr(0, comma)));
        list.remove_prefix(std::min(comma + 1, list.size()));
    }
    return all;
}

constexpr std::pair<std::string_view, DType> spellings[] = {
    {"bool", DType::bool_},
    {"char", DType::i8},
    {"signed char", DType::i8},
    {"int8_t", DType::i8},
    {"unsigned char", DType::u8},
    {"uint8_t", DType::u8},
    {"short", DType::i16},
    {"int16_t", DType::i16},
    {"unsigned short", DType::u16},
    {"uint16_t", DType::u16},
    {"int", DType::i32},
    {"int32_t", DType::i32},
    {"unsigned", DType::u32},
    {"unsigned int", DType::u32},
    {"uint32_t", DType::u32},
    {"long", DType::i64},
    {"long long", DType::i64},
    {"int64_t", DType::i64},
    {"unsigned long", DType::u64},
    {"unsigned long long", DType::u64},
    {"uint64_t", DType::u64},
    {"size_t", DType::u64},
    {"float", DType::f32},
    {"double", DType::f64},
};

/// A parameter as the text declares it.
struct Declared {
    std::string name, type;  ///< type: of the elements, without const
    bool pointer = false, read_only = false;

    explicit Declared(std::string_view text) {
        std::size_t begin = text.size();
        while (begin > 0 && is_word(text[begin - 1])) --begin;
        name = text.substr(begin);
        text = text.substr(0, begin);
        pointer = text.find('*') != text.npos;
        text = text.substr(0, text.find('*'));
        while (!text.empty()) {
            const auto length =
                static_cast<std::size_t>(std::ranges::find_if_not(text, is_word) - text.begin());
            const std::string_view word = text.substr(0, length);
            if (word == "const")
                read_only = pointer;
            else if (!word.empty())
                type.append(type.empty() ? "" : " ").append(word);
            text.remove_prefix(std::max(length, std::size_t(1)));
        }
    }
    /// Whether it is what arguments of this type are passed as, as far as that is known.
    bool takes(const ArgType& of) const {
        return pointer == (of.rank > 0) &&
               engine::dtype_of_cuda(type).value_or(of.dtype) == of.dtype;
    }
};

std::string text_of(const ArgType& type) {
    return type.rank == 0 ? std::string(name(type.dtype))
                          : fmt::format("{}[{}]", name(type.dtype), type.rank);
}

}  // namespace

std::optional<DType> engine::dtype_of_cuda(std::string_view type) {
    const auto* const known =
        std::ranges::find(spellings, type, &std::pair<std::string_view, DType>::first);
    return known == std::end(spellings) ? std::nullopt : std::optional(known->second);
}

namespace detail {

class RawKernelState {
  public:
    RawKernelState(std::string text, std::string name, const std::vector<ArgType>& types,
                   RawOptions options, Location where)
        : options_(options), where_(where) {
        if (engine::cpu_or_simulator() == BackendTarget::sim) options_.target = BackendTarget::sim;
        kernel_.name = std::move(name);
        kernel_.form = ir::Form::threads;
        if (options_.target == BackendTarget::cpu)
            throw Error(ErrorKind::unsupported,
                        fmt::format("{} is CUDA text, which is no code of the CPU", kernel_.name),
                        where, ".target is cuda or sim");
        declare(without_comments(text), types);
        module_.text = std::move(text);
    }

    const std::string& name() const { return kernel_.name; }
    const std::string& text() const { return module_.text; }

    void launch(const engine::LaunchShape& shape, std::span<const JitArg* const> args,
                const std::source_location& where) {
        const DefaultEnvironment environment;
        engine::check_shape(name(), shape, 0, where);
        engine::check_arity(name(), kernel_.params.size(), args.size(), where);
        std::vector<engine::OperandView> views(args.size());
        std::vector<CallAccess::Row> rows(args.size());
        std::vector<engine::DeviceOperand> operands(args.size());
        for (std::size_t i = 0; i < args.size(); ++i) {
            CallAccess::view_of_any_place(args[i]->arg(), views[i], rows[i]);
            check(i, views[i], where);
        }
        const auto argument = [&](std::size_t i) { return kernel_.params[i].name; };
        const bool there = engine::runs_on_device(name(), views, argument, where);
        for (std::size_t i = 0; i < args.size(); ++i) {
            if (views[i].scalar)
                operands[i].scalar = value_of(i, views[i], where);
            else
                operands[i].array = views[i].handle();
        }
        const engine::CompiledCode& code =
            code_for(there ? BackendTarget::cuda : options_.target, where);
        device::at_line(where, [&] { code.launch_threads(operands, shape); });
    }

    /// Errors: usage, of the text.
    const engine::CompiledCode& code_for(BackendTarget target, Location where) {
        const std::lock_guard lock(mutex_);
        auto& code = target == BackendTarget::sim ? simulated_ : of_device_;
        if (code != nullptr) return *code;
        come_first_at_exit();  // the kernel may be a static object
        try {
            code = device::at_line(where, [&] {
                return engine::backend(target).compile_text(
                    kernel_, module_, options_.fastmath.has(Fastmath::contract));
            });
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::internal) throw;
            throw Error(ErrorKind::usage,
                        fmt::format("the text of {} does not compile: {}", name(), error.message()),
                        where_);
        }
        return *code;
    }

  private:
    /// The parameters. Errors: usage (the text has others, or no such function).
    void declare(const std::string& text, const std::vector<ArgType>& types) {
        const bool named = !name().empty() && std::ranges::all_of(name(), is_word);
        const auto list = named ? list_of(text, name()) : std::nullopt;
        if (!list || text.find("extern") == text.npos)
            throw Error(ErrorKind::usage,
                        fmt::format("the text has no function {} that can be launched", name()),
                        where_, fmt::format("extern \"C\" __global__ void {}(...)", name()));
        const std::vector<std::string> found = parameters_in(*list);
        if (found.size() != types.size())
            throw Error(ErrorKind::usage,
                        fmt::format("{} takes {} in its text, {} given", name(),
                                    engine::counted(found.size(), "parameter"),
                                    engine::counted(types.size(), "type")),
                        where_);
        constexpr std::int64_t most_shared = 48 * 1024;
        codegen::CudaFunction function{.role = codegen::CudaFunction::Role::threads,
                                       .name = name(),
                                       .shared = most_shared};  // how much it has is not known
        for (std::size_t i = 0; i < types.size(); ++i) {
            const Declared declared(found[i]);
            if (!declared.takes(types[i]))
                throw Error(ErrorKind::usage,
                            fmt::format("parameter {} of {} is '{}' in its text, and {} here",
                                        i + 1, name(), found[i], text_of(types[i])),
                            where_, "an array is a pointer to its elements, a scalar none");
            const bool array = types[i].rank > 0;
            kernel_.params.push_back({.name = declared.name,
                                      .dtype = types[i].dtype,
                                      .rank = types[i].rank,
                                      .access = !array               ? ir::Access::value
                                                : declared.read_only ? ir::Access::in
                                                                     : ir::Access::inout});
            using Kind = codegen::CudaParameter::Kind;
            function.parameters.push_back({.kind = array ? Kind::data : Kind::value,
                                           .param = static_cast<std::uint32_t>(i),
                                           .dtype = types[i].dtype,
                                           .name = declared.name});
        }
        module_.functions.push_back(std::move(function));
    }

    /// Errors: usage, type, shape.
    void check(std::size_t i, const engine::OperandView& view, Location where) const {
        const ir::Param& param = kernel_.params[i];
        const std::string argument = fmt::format("argument {} of {}", i + 1, name());
        const bool array = param.access != ir::Access::value;
        if (array == view.scalar || (!array && view.rank > 0))
            throw Error(ErrorKind::usage,
                        fmt::format("{} is {}, but {} is {}", argument,
                                    view.scalar ? "a scalar" : "an array", param.name,
                                    array ? "an array" : "a scalar"),
                        where);
        if (!array) return;
        if (view.dtype != param.dtype)
            throw Error(ErrorKind::type,
                        fmt::format("{} has elements of {}, but {} of {}", argument,
                                    kiln::name(view.dtype), param.name, kiln::name(param.dtype)),
                        where, "x.astype(...) converts");
        if (view.rank != param.rank)
            throw Error(ErrorKind::shape,
                        fmt::format("{} has rank {}, but {} has {}", argument, view.rank,
                                    param.name, param.rank),
                        where);
        if (!view.is_contiguous())
            throw Error(ErrorKind::usage, fmt::format("{} is not contiguous", argument), where,
                        "CUDA text gets a pointer to elements that follow each other: x.copy()");
        if (view.read_only && param.access != ir::Access::in)
            throw Error(ErrorKind::usage,
                        fmt::format("{} is read-only, but {} is written", argument, param.name),
                        where, "the text may say const");
    }

    Scalar value_of(std::size_t i, const engine::OperandView& view,
                    const std::source_location& where) const {
        Scalar value;
        value.dtype = view.dtype;
        std::memcpy(value.bytes.data(), view.data, size_of(view.dtype));
        return value.safe_cast(kernel_.params[i].dtype, where);
    }

    RawOptions options_;
    const Location where_;
    ir::Kernel kernel_;  // its parameters
    codegen::CudaModule module_;
    Mutex mutex_;  // of what follows
    std::unique_ptr<engine::CompiledCode> of_device_, simulated_;
};

}  // namespace detail

RawKernel::RawKernel(Shared<detail::RawKernelState> state) : state_(std::move(state)) {}

const std::string& RawKernel::name() const { return state_->name(); }

void RawKernel::call(const LaunchOptions& launch, std::span<const JitArg* const> args,
                     Where where) const {
    std::optional<StreamScope> scope;
    if (launch.stream != nullptr) scope.emplace(*launch.stream);
    state_->launch({launch.blocks, launch.threads, launch.shared}, args, where);
}

std::string RawKernel::inspect(Artifact artifact, Where where) const {
    if (artifact == Artifact::cuda) return state_->text();
    if (artifact != Artifact::ptx && artifact != Artifact::resources)
        throw Error(ErrorKind::unsupported, fmt::format("{} is CUDA text", name()), where,
                    "its texts are cuda, ptx and resources");
    return state_->code_for(BackendTarget::cuda, where).text(artifact);
}

KernelAttributes RawKernel::attributes(Where where) const {
    const std::vector<KernelAttributes> all =
        state_->code_for(BackendTarget::cuda, where).attributes();
    return *std::ranges::find(all, name(), &KernelAttributes::function);
}

RawKernel cuda::raw(std::string text, std::string name, std::vector<ArgType> types,
                    RawOptions options, std::source_location where) {
    return RawKernel(
        share<detail::RawKernelState>(std::move(text), std::move(name), types, options, where));
}

}  // namespace kiln
