#include <kiln/host_function.h>

#include "dsl/trace.h"
#include "runtime/process.h"

#include <algorithm>
#include <map>
#include <mutex>

#include <fmt/format.h>

namespace kiln::detail {
namespace {

struct Registry {
    Mutex mutex;
    std::map<std::string, HostFunctionInfo, std::less<>> functions;  // never removed

    static Registry& instance() {
        static constinit Lazy<Registry> registry;
        return registry.get();
    }
};

std::string signature(const HostFunctionInfo& f) {
    std::string text = f.pure ? "pure " : "";
    text += f.result ? name(*f.result) : "void";
    text += '(';
    for (std::size_t i = 0; i < f.params.size(); ++i) {
        if (i != 0) text += ", ";
        text += name(f.params[i]);
    }
    return text + ')';
}

}  // namespace

const HostFunctionInfo& register_host_function(HostFunctionInfo function, const Location& where) {
    if (function.name.empty())
        throw Error(ErrorKind::usage, "a host function has no name", where,
                    "kernels and what is cached of them refer to it by its name");
    if (function.target == nullptr)
        throw Error(ErrorKind::usage, fmt::format("host function {} is null", function.name),
                    where);
    if (function.pure && !function.result)
        throw Error(
            ErrorKind::usage,
            fmt::format("host function {} is pure and gives nothing", function.name), where,
            "leave out .pure: calls of pure functions whose result is not used are dropped");
    Registry& registry = Registry::instance();
    const std::lock_guard lock(registry.mutex);
    const auto [at, added] = registry.functions.try_emplace(function.name, function);
    const HostFunctionInfo& known = at->second;
    if (added) return known;
    if (signature(known) != signature(function))
        throw Error(ErrorKind::usage,
                    fmt::format("host function {} is {}, but one of that name is {}", function.name,
                                signature(function), signature(known)),
                    where, "give it another name");
    if (known.target != function.target)
        throw Error(ErrorKind::usage,
                    fmt::format("there is another host function {}", function.name), where,
                    "give it another name");
    return known;
}

const HostFunctionInfo* find_host_function(std::string_view name) {
    Registry& registry = Registry::instance();
    const std::lock_guard lock(registry.mutex);
    const auto found = registry.functions.find(name);
    return found == registry.functions.end() ? nullptr : &found->second;
}

std::optional<Value> trace_host_call(const HostFunctionInfo& function,
                                     std::span<const Operand> arguments, const Location& where) {
    dsl::Trace& trace = dsl::Trace::current(where);
    ir::Builder& b = trace.builder();
    b.set_location(where);
    std::vector<ir::Id> values;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const ir::Id value = trace.use(arguments[i]);
        const DType from = b.dtype(value), to = function.params[i];
        const DType common = b.node(value).weak ? promote_weak(to, from) : promote(to, from);
        if (common != to)
            throw Error(ErrorKind::type,
                        fmt::format("argument {} of {} is {}, which does not fit {}", i + 1,
                                    function.name, name(from), name(to)),
                        where, fmt::format("write cast(kiln::{}, ...)", name(to)));
        values.push_back(b.coerce(value, to));
    }
    const ir::Id call = b.call(
        b.add_function({function.name, function.result, function.params, function.pure}), values);
    if (!function.result) return std::nullopt;
    return trace.value(call);
}

}  // namespace kiln::detail
