// Functions of the program that a build made kernels of: which there are, and their bodies.
#include <kiln/native.h>

#include "dsl/ir/text.h"
#include "dsl/trace/replay.h"

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace kiln::detail {
namespace {

/// All that loaded parts of the program told of.
struct Known {
    std::mutex mutex;
    std::vector<std::pair<const NativeKernel*, std::size_t>> all;
    NativeSource::Find find;
};
Known& known() {
    static Known& one = *new Known;  // libraries of the program are closed after main
    return one;
}

/// Errors: usage (nothing was told of it).
NativeKernel kernel_of(FunctionAddress function, const Location& where) {
    NativeSource::Find find;
    {
        const std::lock_guard lock(known().mutex);
        for (const auto& [kernels, count] : known().all)
            for (std::size_t i = 0; i < count; ++i)
                if (kernels[i].function == function) return kernels[i];
        find = known().find;
    }
    if (find)
        if (const NativeKernel* found = find(function, where)) return *found;
    throw Error(ErrorKind::usage, "no kernel was made of this function", where,
                "mark it with KILN_KERNEL, and name its file in kiln_kernels(target file.cpp)");
}

using dsl::Replaced;

/// The results of a body for these arguments.
std::vector<ir::Id> replayed(const NativeKernel& native, const NativeBody& form,
                             std::vector<Replaced> arguments, dsl::Trace& trace,
                             const Location& where) {
    const bool checked = trace.checked() && form.checked != nullptr;
    const ir::Kernel body = ir::parse(checked ? form.checked : form.text);
    for (const NativeRemark* r = native.remarks; r != nullptr && r->file != nullptr; ++r)
        trace.note(Location(r->file, r->line), r->text);
    ir::Builder& b = trace.builder();
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const ir::Param& param = body.params[i];
        if (arguments[i].is_array) {
            const ir::Param& given = b.kernel().params[arguments[i].param];
            const auto rank = trace.seen_rank(arguments[i].param);
            if (given.dtype != param.dtype || rank != param.rank)
                throw Error(ErrorKind::type,
                            fmt::format("an argument is {}[{}], but parameter {} of {} is {}[{}]",
                                        name(given.dtype), rank, param.name, native.name,
                                        name(param.dtype), param.rank),
                            where, "convert it before the call");
        } else {
            const DType to = dsl::fitting(b, arguments[i].value, param.dtype, param.name,
                                          native.name, where, "convert it before the call");
            arguments[i].value = b.coerce(arguments[i].value, to);
        }
    }
    return dsl::replay(body, arguments, trace);
}

}  // namespace

NativeKernels::NativeKernels(const NativeKernel* kernels, std::size_t count) : kernels_(kernels) {
    const std::lock_guard lock(known().mutex);
    known().all.emplace_back(kernels, count);
}

NativeKernels::~NativeKernels() {
    const std::lock_guard lock(known().mutex);
    std::erase_if(known().all, [this](const auto& one) { return one.first == kernels_; });
}

NativeSource::NativeSource(Find find) {
    const std::lock_guard lock(known().mutex);
    known().find = std::move(find);
}

NativeSource::~NativeSource() {
    const std::lock_guard lock(known().mutex);
    known().find = nullptr;
}

ElementFunction native_elements(FunctionAddress function, const std::source_location& where) {
    return [function, where](std::span<const Value> given, std::vector<Value>& out) {
        const NativeKernel native = kernel_of(function, where);
        if (native.map.text == nullptr)
            throw Error(
                ErrorKind::unsupported,
                fmt::format("{} is no element-wise kernel: {}", native.name, native.why_no_map),
                where);
        dsl::Trace& trace = dsl::Trace::current(where);
        std::vector<Replaced> arguments;
        for (const Value& v : given) arguments.push_back({.value = trace.id(v)});
        for (const ir::Id id : replayed(native, native.map, std::move(arguments), trace, where))
            out.push_back(trace.value(id));
    };
}

KernelFunction native_loops(FunctionAddress function, const std::source_location& where) {
    return [function, where](std::span<const KernelItem> items) {
        const NativeKernel native = kernel_of(function, where);
        dsl::Trace& trace = dsl::Trace::current(where);
        std::vector<Replaced> arguments;
        for (const KernelItem& item : items) {
            if (const auto* array = std::get_if<KernelArray>(&item))
                arguments.push_back({.is_array = true, .param = trace.param(*array, where)});
            else
                arguments.push_back({.value = trace.id(std::get<Value>(item))});
        }
        std::vector<KernelItem> results;
        for (const ir::Id id : replayed(native, native.program, std::move(arguments), trace, where))
            results.emplace_back(trace.value(id));
        return results;
    };
}

}  // namespace kiln::detail
