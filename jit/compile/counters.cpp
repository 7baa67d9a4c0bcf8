#include "jit/compile/counters.h"

#include "runtime/process.h"

#include <kiln/environment.h>

#include <mutex>
#include <set>

namespace kiln {
namespace engine {
namespace {

struct Registry {
    kiln::detail::Mutex mutex;
    std::set<const Counted*> alive;
    Stats retired;

    static Registry& instance() {
        static constinit kiln::detail::Lazy<Registry> registry;
        return registry.get();
    }
};

}  // namespace

void add(Stats& sum, const Stats& more) {
    const kiln::detail::DefaultEnvironment environment;
    sum.compiles += more.compiles;
    sum.hits += more.hits;
    sum.misses += more.misses;
    sum.trace_ms += more.trace_ms;
    sum.passes_ms += more.passes_ms;
    sum.load_ms += more.load_ms;
    sum.emit_ms += more.emit_ms;
    sum.optimize_ms += more.optimize_ms;
    sum.codegen_ms += more.codegen_ms;
    sum.link_ms += more.link_ms;
}

Counted::Counted(std::function<Stats()> counted) : counted_(std::move(counted)) {
    Registry& registry = Registry::instance();
    const std::lock_guard lock(registry.mutex);
    registry.alive.insert(this);
}

Counted::~Counted() {
    Registry& registry = Registry::instance();
    const std::lock_guard lock(registry.mutex);
    registry.alive.erase(this);
    add(registry.retired, counted_());
}

}  // namespace engine

Stats stats() {
    engine::Registry& registry = engine::Registry::instance();
    const std::lock_guard lock(registry.mutex);
    Stats sum = registry.retired;
    for (const engine::Counted* kernel : registry.alive) engine::add(sum, kernel->counted_());
    return sum;
}

}  // namespace kiln
