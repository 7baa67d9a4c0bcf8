#include <kiln/host_function.h>

#include "dsl/ir/rules.h"
#include "dsl/trace/trace.h"
#include "runtime/process.h"

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include <fmt/format.h>

namespace kiln::detail {
namespace {

using Known = std::shared_ptr<const HostFunctionInfo>;

/// Which functions someone has a handle on: so that two handles on one function are equal.
struct Registry {
    Mutex mutex;
    std::multimap<std::string, Known::weak_type, std::less<>> functions;

    static Registry& instance() {
        static constinit Lazy<Registry> registry;
        return registry.get();
    }
    void remove(const HostFunctionInfo* function) {
        const std::lock_guard lock(mutex);
        const auto [first, last] = functions.equal_range(function->name);
        // Its own, and others of this name that are on their way here too.
        for (auto at = first; at != last;) at = at->second.expired() ? functions.erase(at) : ++at;
    }
};

bool is_same(const HostFunctionInfo& a, const HostFunctionInfo& b) {
    return a.target == b.target && a.thunk == b.thunk && a.call == b.call && a.pure == b.pure &&
           a.result == b.result && a.params == b.params;
}

}  // namespace

HostFunctionHandle register_host_function(HostFunctionInfo function, const Location& where) {
    if (function.name.empty())
        throw Error(ErrorKind::usage, "a host function has no name", where,
                    "texts of kernels call it by its name");
    if (function.target == nullptr)
        throw Error(ErrorKind::usage, fmt::format("host function {} is null", function.name),
                    where);
    if (function.pure && !function.result)
        throw Error(
            ErrorKind::usage,
            fmt::format("host function {} is pure and gives nothing", function.name), where,
            "leave out .pure: calls of pure functions whose result is not used are dropped");
    Registry& registry = Registry::instance();
    const Known made(new HostFunctionInfo(std::move(function)), [](const HostFunctionInfo* gone) {
        Registry::instance().remove(gone);
        delete gone;
    });
    std::vector<Known> known;  // gone after the lock, which the end of one takes
    const std::lock_guard lock(registry.mutex);
    const auto [first, last] = registry.functions.equal_range(made->name);
    for (auto at = first; at != last; ++at) {
        known.push_back(at->second.lock());
        if (known.back() != nullptr && is_same(*known.back(), *made)) return known.back();
    }
    registry.functions.emplace(made->name, made);
    return made;
}

HostFunctionHandle find_host_function(std::string_view name) {
    Registry& registry = Registry::instance();
    std::vector<Known> known{nullptr};  // gone after the lock
    const std::lock_guard lock(registry.mutex);
    const auto [first, last] = registry.functions.equal_range(name);
    for (auto at = first; at != last; ++at)
        if (Known alive = at->second.lock()) known.push_back(std::move(alive));
    return known.back();
}

std::optional<Value> trace_host_call(const HostFunctionHandle& handle,
                                     std::span<const Operand> arguments, const Location& where) {
    const HostFunctionInfo& function = *handle;
    dsl::Trace& trace = dsl::Trace::current(where);
    ir::Builder& b = trace.builder();
    b.set_location(where);
    std::vector<ir::Id> values;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const ir::Id value = trace.use(arguments[i]);
        const DType to = function.params[i];
        ir::rules::keep(ir::rules::host_argument(b, value, to, i + 1, function.name), where);
        values.push_back(b.coerce(value, to));
    }
    const ir::Id call =
        b.call(trace.host_function({function.name, function.result, function.params, function.pure},
                                   handle),
               values);
    if (!function.result) return std::nullopt;
    return trace.value(call);
}

}  // namespace kiln::detail
