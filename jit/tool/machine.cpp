// The machine that the tool runs on.
#include "jit/tool/doctor.h"

#include <kiln/array.h>
#include <kiln/parallel.h>

#include <dlfcn.h>
#include <link.h>
#include <sched.h>
#include <unistd.h>
#include <algorithm>

#include <chrono>
#include <cstring>
#include <fstream>
#include <iterator>

namespace kiln::tool {
namespace {

class RealMachine final : public Machine {
  public:
    std::vector<std::string> environment() const override {
        std::vector<std::string> all;
        for (char** entry = environ; *entry != nullptr; ++entry) all.emplace_back(*entry);
        return all;
    }
    std::optional<std::string> file(const std::string& path) const override {
        std::ifstream in(path);
        if (!in) return std::nullopt;
        return std::string(std::istreambuf_iterator<char>(in), {});
    }
    std::string find_library(const std::vector<std::string>& names) const override {
        for (const std::string& name : names) {
            void* const handle = dlopen(name.c_str(), RTLD_LAZY | RTLD_LOCAL);
            if (handle == nullptr) continue;
            link_map* where = nullptr;
            if (dlinfo(handle, RTLD_DI_LINKMAP, &where) == 0 && where->l_name[0] != '\0')
                return where->l_name;
            return name;
        }
        return {};
    }
    int cpus() const override {
        cpu_set_t set;
        CPU_ZERO(&set);
        return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    }
    DiskCacheInfo cache() const override { return disk_cache_info(); }
    double bandwidth() const override {
        constexpr std::int64_t bytes = std::int64_t(64) << 20;
        const Array from = full({bytes}, std::uint8_t(1)), to = full({bytes}, std::uint8_t(2));
        double best = 0;
        for (int run = 0; run < 4; ++run) {
            const auto start = std::chrono::steady_clock::now();
            std::memcpy(to.data(), from.data(), static_cast<std::size_t>(bytes));
            const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
            best = std::max(best, 2e-9 * static_cast<double>(bytes) / took.count());
        }
        return best;
    }
    std::string folder() const override {
        Dl_info info{};
        if (dladdr(reinterpret_cast<void*>(&disk_cache_info), &info) == 0) return {};
        const std::string path = info.dli_fname;
        return path.substr(0, path.rfind('/') + 1);
    }
};

}  // namespace

const Machine& Machine::here() {
    static const RealMachine machine;
    return machine;
}

}  // namespace kiln::tool
