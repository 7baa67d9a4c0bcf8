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
    // All of its fields: with a new one, this does not compile.
    auto& [compiles, loads, hits, misses, trace, passes, disk, load, emit, optimize, codegen,
           link] = sum;
    const auto& [c, l, h, m, t, p, d, ld, e, o, g, ln] = more;
    compiles += c;
    loads += l;
    hits += h;
    misses += m;
    trace += t;
    passes += p;
    disk += d;
    load += ld;
    emit += e;
    optimize += o;
    codegen += g;
    link += ln;
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
