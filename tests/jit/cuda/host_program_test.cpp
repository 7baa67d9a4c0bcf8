// Loop kernels on a device that the host plays: CUDA text is compiled for the simulator, its
// blocks of threads run as they do on a device, and every result has the bits of the CPU's code of the
// same program, for every number of threads and order in which they run.
#include "codegen/passes/pass.h"
#include "dsl/ir/text.h"
#include "tests/jit/cuda/emulated.h"
#include "tests/jit/cuda/programs.h"
#include "tests/jit/support.h"

#include <cmath>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>

using namespace kiln;

namespace {

std::vector<engine::DeviceArgument> device_arguments(const std::vector<Array>& arrays) {
    std::vector<engine::DeviceArgument> made;
    for (const Array& a : arrays) {
        engine::DeviceArgument one;
        one.data = a.data();
        for (int d = 0; d < a.rank(); ++d) {
            one.extents.push_back(a.extent(d));
            one.strides.push_back(a.stride(d));
        }
        made.push_back(std::move(one));
    }
    return made;
}

bool same_bits(const Array& a, const Array& b) {
    return std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.nbytes())) == 0;
}

std::string golden(const std::string& name) {
    std::ifstream in(KILN_TESTS_DIR "/golden/cuda/" + name + ".cu");
    std::ostringstream text;
    text << in.rdbuf();
    return in.good() ? text.str() : "no file " + name + ".cu";
}

}  // namespace

TEST_CASE("CUDA text of reductions, scans and loops", "[jit][cuda]") {
    std::string last;
    for (const test::Program& p : test::device_programs()) {
        const bool shown = p.name == "dot" || p.name == "running" || p.name == "matvec" ||
                           p.name == "largest_at" || p.name == "histogram" || p.name == "sum2";
        if (!shown || p.name == last) continue;
        last = p.name;
        ir::Kernel without_lines = ir::parse(ir::print(p.device, {.locations = false}));
        without_lines.name = p.name;
        const std::string text = codegen::emit_cuda(without_lines);
        CHECK(text == golden(p.name));
    }
}

TEST_CASE("a device that fails leaves no arrays of results", "[jit][cuda]") {
    struct Failing final : engine::LaunchDevice {
        std::set<std::byte*> blocks;
        std::byte* allocate(std::size_t bytes) override {
            return *blocks.insert(new std::byte[bytes]).first;
        }
        void deallocate(std::byte* memory) noexcept override {
            CHECK(blocks.erase(memory) == 1);
            delete[] memory;
        }
        void write(std::byte* to, const void* from, std::size_t bytes) override {
            std::memcpy(to, from, bytes);
        }
        void read(void* to, const std::byte* from, std::size_t bytes) override {
            std::memcpy(to, from, bytes);
        }
        void launch(std::size_t, const engine::LaunchShape&, void**) override {
            throw Error(ErrorKind::device, "launching failed");
        }
    } device;
    codegen::PassContext context;
    context.options = {.target = codegen::PassTarget::gpu, .noalias = true, .verify = true};
    const auto doubled = jit("doubled", [](In x) -> Scratch {
        Scratch y(x.dtype(), {x.extent(0)});
        for (Index i : prange(x.extent(0))) y(i) = 2.0 * x(i);
        return y;
    });
    const ir::Kernel kernel =
        codegen::run_passes(ir::parse(doubled.inspect(Artifact::ir, {f64[1]})), context);
    const std::vector<Array> x = {arange(5.0)};
    auto arguments = device_arguments(x);
    arguments.resize(kernel.params.size());
    CHECK_THROWS_WITH(
        engine::run_host_program(kernel, codegen::emit_cuda_module(kernel), device, {}, arguments),
        Catch::Matchers::Contains("launching failed"));
    CHECK(device.blocks.empty());
    for (std::size_t p = 1; p < arguments.size(); ++p) CHECK(arguments[p].data == nullptr);
}

TEST_CASE("CUDA modules give the bits of the CPU's code", "[jit][cuda][emulated]") {
    const std::vector<test::Program> all = test::device_programs();
    test::EmulatedModules modules;
    for (const test::Program& p : all) {
        INFO(p.name << "\n" << ir::print(p.device));
        modules.add(p.device);
    }
    for (std::size_t k = 0; k < all.size(); ++k) {
        const test::Program& p = all[k];
        INFO(p.name << " of " << to_string(p.arguments[0].shape()) << " "
                    << name(p.arguments[0].dtype()) << "\n"
                    << ir::print(p.device) << modules.module(k).text);
        const std::vector<Array> cpu = test::copies(p.arguments);
        auto of_cpu = device_arguments(cpu);
        of_cpu.resize(p.device.params.size());
        test::run_on_cpu(p.device, of_cpu);
        for (const auto& [threads, most_blocks, backwards] :
             {std::tuple(1U, 4096, false), std::tuple(64U, 3, true),
              std::tuple(256U, 4096, false)}) {
            const std::vector<Array> got = test::copies(p.arguments);
            auto of_device = device_arguments(got);
            of_device.resize(p.device.params.size());
            CHECK(!modules.run(k, {threads, most_blocks}, backwards, of_device).has_value());
            for (std::size_t a = 0; a < got.size(); ++a) {
                INFO("argument " << a << ", " << threads << " threads");
                CHECK(same_bits(got[a], cpu[a]));
                const std::vector<double> values = test::values(got[a]),
                                          expected = test::values(p.expected[a]);
                for (std::size_t i = 0; i < values.size(); ++i)
                    if (std::abs(values[i] - expected[i]) >
                        p.tolerance * (1 + std::abs(expected[i])))
                        FAIL("element " << i << " is " << values[i] << ", not " << expected[i]);
            }
        }
    }
}
