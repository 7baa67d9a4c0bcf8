#include "jit/tool/kernel_run.h"

#include "jit/tool/text_options.h"

#include <kiln/npy.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include <fmt/format.h>

namespace kiln::tool {
namespace {

using text::Mode;
using Result = KernelRun::Result;

// ------------------------------------------------------------------------------ options

constexpr std::array<std::pair<std::string_view, Boundary>, 5> boundaries{
    {{"constant", Boundary::constant},
     {"nearest", Boundary::nearest},
     {"wrap", Boundary::wrap},
     {"reflect", Boundary::reflect},
     {"mirror", Boundary::mirror}}};

// ------------------------------------------------------------------------------ arguments

std::vector<Given> given_of(std::span<const std::string> words) {
    std::vector<Given> all;
    for (const std::string& word : words) {
        Given one{RunArgument(word)};
        switch (one.word.kind) {
            case RunArgument::Kind::number: break;
            case RunArgument::Kind::input:
                one.array = map_npy(one.word.from, MapMode::read, {});
                break;
            case RunArgument::Kind::update: one.array = load_npy(one.word.from, {}); break;
            case RunArgument::Kind::output:
                if (one.word.has_type) one.array = zeros(one.word.shape, one.word.dtype);
                break;
        }
        all.push_back(std::move(one));
    }
    return all;
}

/// Those of element-wise kernels and their kin: what comes out follows what goes in.
std::vector<Given> outputs_of(std::vector<Given>& given, std::string_view mode) {
    std::vector<Given> outputs;
    for (Given& one : given) {
        if (one.word.kind == RunArgument::Kind::update)
            throw UsageError(fmt::format("+{}={}: {} kernels write what is = alone", one.word.from,
                                         one.word.to, mode));
        if (one.word.kind == RunArgument::Kind::output) outputs.push_back(std::move(one));
    }
    std::erase_if(given, [](const Given& g) { return g.word.kind == RunArgument::Kind::output; });
    return outputs;
}

/// Either all outputs have types or none.
void check_types(const std::vector<Given>& outputs) {
    const auto typed =
        std::ranges::count_if(outputs, [](const Given& g) { return g.word.has_type; });
    if (typed != 0 && static_cast<std::size_t>(typed) != outputs.size())
        throw UsageError("some outputs have a type and some have none");
}

template <class Options> Options into(const std::vector<Given>& outputs) {
    const bool typed = std::ranges::all_of(outputs, [](const Given& g) { return g.word.has_type; });
    if (!typed || outputs.empty()) return {};
    std::vector<OutArg> arrays;
    for (const Given& one : outputs) arrays.emplace_back(one.array);
    Options options;
    options.outs = Outs(arrays);
    return options;
}

/// Of kernels that give arrays: results go to the outputs, in order.
template <class CallOptions, class Kernel>
KernelRun run_of_arrays(Kernel kernel, std::vector<Given> given, std::vector<Given> outputs) {
    if (!outputs.empty() && outputs.size() != kernel.nout())
        throw UsageError(fmt::format("{} gives {} result{}, but {} output{} given", kernel.name(),
                                     kernel.nout(), kernel.nout() == 1 ? "" : "s", outputs.size(),
                                     outputs.size() == 1 ? " is" : "s are"));
    check_types(outputs);
    KernelRun run;
    run.call = [kernel, given, outputs] {
        const CallOptions options = into<CallOptions>(outputs);
        std::vector<Arg> args;
        for (const Given& one : given) args.push_back(one.arg());
        std::vector<Result> results;
        for (Array& a : kernel.all_of(args, options, std::source_location()))
            results.emplace_back(std::move(a));
        return results;
    };
    run.given = std::move(outputs);
    return run;
}

/// A loop kernel whose results are known when it runs.
class LoopKernel : public JitKernel {
  public:
    LoopKernel(const std::string& name, text::detail::LoopFunction made)
        : JitKernel(name, std::move(made.params), std::move(made.function), std::move(made.options),
                    {}) {}
    std::vector<Result> run(const std::vector<Given>& given) const {
        std::vector<JitArg> all;
        all.reserve(given.size());
        for (const Given& one : given) all.emplace_back(one.arg());
        std::vector<const JitArg*> args;
        for (const JitArg& one : all) args.push_back(&one);
        return call(args, {});
    }
};

KernelRun loop_run(const LoopKernel& kernel, std::vector<Given> given) {
    for (const Given& one : given)
        if (one.word.kind == RunArgument::Kind::output && !one.word.has_type)
            throw UsageError(fmt::format("={}: of a loop kernel an output has a type, ={}:f64[100]",
                                         one.word.to, one.word.to));
    KernelRun run;
    run.call = [kernel, given] { return kernel.run(given); };
    run.given = std::move(given);
    return run;
}

KernelRun stencil_run(const Stencil& kernel, std::vector<Given> given, std::vector<Given> outputs) {
    if (outputs.size() > 1) throw UsageError("a stencil gives one array");
    if (!outputs.empty() && outputs[0].word.has_type)
        throw UsageError(fmt::format("={}: the array that a stencil gives has no type of its own",
                                     outputs[0].word.to));
    KernelRun run;
    run.call = [kernel, given]() -> std::vector<Result> {
        std::array<JitArg, 31> a;
        if (given.size() > a.size()) throw UsageError("a stencil takes at most 31 arguments");
        for (std::size_t i = 0; i < given.size(); ++i) a[i] = JitArg(given[i].arg());
        return [&]<std::size_t... I>(std::index_sequence<I...>) -> std::vector<Result> {
            return {kernel(a[I]..., std::source_location())};
        }(std::make_index_sequence<31>());
    };
    run.given = std::move(outputs);
    return run;
}

}  // namespace

KernelRun make_run(const Arguments& arguments, Mode mode, const text::Source& source,
                   const std::string& function, std::span<const std::string> words) {
    const text::Library& library = text_library();
    if (arguments.has("--boundary") && mode != Mode::stencil)
        throw UsageError(fmt::format("--boundary is of stencils; this is {}", name_of(mode)));
    const std::source_location nowhere{};
    std::vector<Given> given = given_of(words);
    switch (mode) {
        case Mode::vectorize: {
            auto outputs = outputs_of(given, "element-wise");
            return run_of_arrays<CallOptions>(
                library.vectorize(source, function, kernel_options<UfuncOptions>(arguments),
                                  nowhere),
                std::move(given), std::move(outputs));
        }
        case Mode::guvectorize: {
            auto outputs = outputs_of(given, "generalised element-wise");
            return run_of_arrays<GufuncCallOptions>(
                library.guvectorize(source, function, arguments.value("--layout"),
                                    kernel_options<GufuncOptions>(arguments), nowhere),
                std::move(given), std::move(outputs));
        }
        case Mode::stencil: {
            auto options = kernel_options<StencilOptions>(arguments);
            if (arguments.has("--boundary"))
                options.boundary = chosen(arguments, "--boundary", boundaries);
            auto outputs = outputs_of(given, "stencil");
            return stencil_run(library.stencil(source, function, options, nowhere),
                               std::move(given), std::move(outputs));
        }
        case Mode::jit: break;
    }
    return loop_run(
        LoopKernel(function, library.loop_function(source, function,
                                                   kernel_options<JitOptions>(arguments), nowhere)),
        std::move(given));
}

int whole_number(const Arguments& arguments, std::string_view option, int otherwise) {
    if (!arguments.has(option)) return otherwise;
    const std::string word = arguments.value(option);
    int n = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), n);
    if (error != std::errc() || end != word.data() + word.size() || n < 1)
        throw UsageError(fmt::format("{} takes a number from 1 on, not {}", option, word));
    return n;
}

}  // namespace kiln::tool
