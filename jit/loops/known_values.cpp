#include "jit/loops/known_values.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include <fmt/format.h>

namespace kiln::engine {
namespace {

std::uint64_t bits_of(const OperandView& scalar) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, scalar.data, size_of(scalar.dtype));
    return bits;
}

}  // namespace

KnownValues::KnownValues(const std::string& kernel, const JitOptions& options, std::size_t params,
                         Location where)
    : kernel_(kernel), most_(options.specialise_at_most) {
    std::vector<std::string> names = options.params;
    for (std::size_t i = names.size(); i < params; ++i) names.push_back(fmt::format("p{}", i));
    for (const std::string& name : options.specialise) {
        const auto at = std::ranges::find(names, name);
        if (at == names.end())
            throw Error(
                ErrorKind::usage,
                fmt::format("{} has no parameter '{}', which .specialise names", kernel, name),
                where, params == 0 ? "" : fmt::format("it has {}", fmt::join(names, ", ")));
        params_.push_back(static_cast<std::uint32_t>(at - names.begin()));
    }
    std::ranges::sort(params_);
    const auto [first, last] = std::ranges::unique(params_);
    params_.erase(first, last);
    for (const std::uint32_t p : params_) names_ += (names_.empty() ? "" : ", ") + names[p];
}

std::uint32_t KnownValues::number_of(std::span<const OperandView> views,
                                     const std::source_location& where) {
    ValueWords words;
    bool fits = true;
    for (const std::uint32_t p : params_) {
        const OperandView& view = views[p];
        const bool is_array = view.rank != 0;
        if (!is_array && is_complex(view.dtype))
            throw Error(ErrorKind::type,
                        fmt::format("argument {} of {} is {}, which .specialise makes no constant",
                                    p + 1, kernel_, name(view.dtype)),
                        where, "it takes integers, bool and real numbers, and extents of arrays");
        if (!is_array) fits = words.add(bits_of(view)) && fits;
        for (int d = 0; d < view.rank; ++d)
            fits = words.add(static_cast<std::uint64_t>(view.extents[d])) && fits;
    }
    if (!fits)
        throw Error(ErrorKind::usage,
                    fmt::format("{} is specialised by more than {} values and extents", kernel_,
                                ValueWords::most),
                    where);
    if (const std::uint32_t* const found = numbers_.find(words)) return *found;
    if (count_.load(std::memory_order_relaxed) >= most_) return 0;
    const std::lock_guard lock(mutex_);
    if (const std::uint32_t* const found = numbers_.find(words)) return *found;
    if (words_.size() >= most_) return 0;
    words_.push_back(words);
    count_.store(words_.size(), std::memory_order_relaxed);
    return *numbers_.insert(
        words, std::make_unique<std::uint32_t>(static_cast<std::uint32_t>(words_.size())));
}

std::vector<codegen::KnownNumber> KnownValues::numbers(const LoopKernelKey& key) const {
    std::vector<codegen::KnownNumber> all;
    if (key.values() == 0) return all;
    const std::lock_guard lock(mutex_);
    const ValueWords& words = words_[key.values() - 1];
    std::size_t next = 0;
    for (const std::uint32_t p : params_) {
        const int count = key.is_array(p) ? key.rank(p) : 1;
        for (int d = 0; d < count; ++d)
            all.push_back({p, static_cast<std::uint32_t>(d), words[next++]});
    }
    return all;
}

std::optional<std::string> KnownValues::take_remark() {
    if (is_told_.load(std::memory_order_relaxed) || is_told_.exchange(true)) return std::nullopt;
    return fmt::format(
        "{} has code for {} combination{} of values of {}; calls with others run the code for any "
        "values (.specialise_at_most)",
        kernel_, most_, most_ == 1 ? "" : "s", names_);
}

}  // namespace kiln::engine
