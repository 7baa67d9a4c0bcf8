#include "jit/tool/text_options.h"

#include <algorithm>
#include <array>
#include <sstream>
#include <utility>

#include <fmt/format.h>

namespace kiln::tool {

using text::Mode;

namespace {

constexpr std::array<std::pair<std::string_view, Mode>, 4> modes{
    {{"vectorize", Mode::vectorize},
     {"guvectorize", Mode::guvectorize},
     {"jit", Mode::jit},
     {"stencil", Mode::stencil}}};
constexpr std::array<std::pair<std::string_view, BackendTarget>, 3> targets{

    {{"cpu", BackendTarget::cpu}, {"cuda", BackendTarget::cuda}, {"sim", BackendTarget::sim}}};

}  // namespace

std::string_view name_of(Mode mode) {
    return std::ranges::find(modes, mode, [](const auto& m) { return m.second; })->first;
}

Mode mode_of(const Arguments& arguments, const text::Source& source, const std::string& function) {
    const bool has_layout = arguments.has("--layout");
    if (!arguments.has("--mode"))
        return has_layout ? Mode::guvectorize : text_library().mode_of(source, function, {});
    const Mode mode = chosen(arguments, "--mode", modes);
    if (mode == Mode::guvectorize && !has_layout)
        throw UsageError("--mode guvectorize needs --layout '(n),(n)->()'");
    if (mode != Mode::guvectorize && has_layout)
        throw UsageError(fmt::format("--layout is of guvectorize; this is {}", name_of(mode)));
    return mode;
}

Fastmath fastmath_of(const Arguments& arguments) {
    if (!arguments.has("--fastmath")) return {};
    static constexpr std::array<std::pair<std::string_view, Fastmath>, 7> flags{
        {{"nnan", Fastmath::nnan},
         {"ninf", Fastmath::ninf},
         {"nsz", Fastmath::nsz},
         {"arcp", Fastmath::arcp},
         {"contract", Fastmath::contract},
         {"afn", Fastmath::afn},
         {"reassoc", Fastmath::reassoc}}};
    std::istringstream words(arguments.value("--fastmath"));
    Fastmath all;
    for (std::string word; std::getline(words, word, ',');) {
        const auto* const flag =
            std::ranges::find(flags, word, [](const auto& f) { return f.first; });
        if (flag == flags.end()) throw UsageError(fmt::format("{} is no flag of --fastmath", word));
        all = all | flag->second;
    }
    return all == Fastmath() ? Fastmath(true) : all;
}

BackendTarget target_of(const Arguments& arguments) {
    return chosen(arguments, "--target", targets);
}

}  // namespace kiln::tool
