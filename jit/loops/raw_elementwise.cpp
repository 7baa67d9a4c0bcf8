// Element-wise functions of CUDA text: a raw kernel for each list of dtypes.
#include "jit/call/arity.h"
#include "jit/call/operand.h"
#include "jit/loops/cuda_types.h"
#include "runtime/device/arrays.h"
#include "runtime/integers.h"
#include "runtime/process.h"
#include "runtime/text.h"

#include <kiln/cuda.h>
#include <kiln/vectorize.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace kiln {
namespace detail {
/// A parameter of the function: "T x".
struct ElementwiseParam {
    std::string type, name;
};
}  // namespace detail

namespace {

bool is_letter(const std::string& type) {
    return type.size() == 1 && std::isupper(static_cast<unsigned char>(type[0])) != 0;
}

bool is_identifier(const std::string& name) {
    const auto fits = [](char c) {
        return c == '_' || std::isalnum(static_cast<unsigned char>(c)) != 0;
    };
    return !name.empty() && std::isdigit(static_cast<unsigned char>(name[0])) == 0 &&
           std::ranges::all_of(name, fits);
}

/// "f32" or "float".
std::optional<DType> dtype_named(const std::string& type) {
    for (std::size_t t = 0; t < dtype_count; ++t)
        if (name(static_cast<DType>(t)) == type) return static_cast<DType>(t);
    return engine::dtype_of_cuda(type);
}

/// Errors: usage.
std::vector<detail::ElementwiseParam> declared_in(std::string_view list,
                                                  const std::string& function, Location where) {
    std::vector<detail::ElementwiseParam> all;
    while (!detail::trimmed(list).empty()) {
        const std::size_t comma = std::min(list.find(','), list.size());
        const std::string_view one = detail::trimmed(list.substr(0, comma));
        const std::size_t space = one.find_last_of(detail::blanks);
        detail::ElementwiseParam made;
        if (space != one.npos)
            made = {std::string(detail::trimmed(one.substr(0, space))),
                    std::string(one.substr(space + 1))};
        if (!is_identifier(made.name) || (!is_letter(made.type) && !dtype_named(made.type)))
            throw Error(
                ErrorKind::usage, fmt::format("'{}' is no parameter of {}", one, function), where,
                "a type and a name, as in \"T x, float y\": types are those of C++, f32 and "
                "its kin, or a capital letter");
        all.push_back(std::move(made));
        list.remove_prefix(std::min(comma + 1, list.size()));
    }
    return all;
}

/// An array with the elements of this one in C order, where it is; this one where that is so already.
Array in_c_order(const Array& array, const Shape& shape, const std::source_location& where) {
    const Array whole = array.shape() == shape ? array : array.broadcast_to(shape, where);
    if (whole.is_contiguous()) return whole;
    if (whole.place().is_host()) return whole.contiguous(where);
    static const Ufunc copy = vectorize("copy", [](Value x) { return x; });
    const Array made = device::make_array(shape, whole.dtype(), where);
    copy(whole, {.out = made}, where);
    return made;
}

}  // namespace

namespace detail {

class RawElementwiseState {
  public:
    RawElementwiseState(const std::string& inputs, const std::string& outputs,
                        std::string operation, std::string name, RawOptions options,
                        const std::source_location& where)
        : name_(std::move(name)),
          operation_(std::move(operation)),
          params_(declared_in(inputs, name_, where)),
          inputs_(params_.size()),
          options_(options),
          where_(where) {
        for (ElementwiseParam& out : declared_in(outputs, name_, where))
            params_.push_back(std::move(out));
        if (params_.size() == inputs_)
            throw Error(ErrorKind::usage, fmt::format("{} has no output", name_), where);
        constexpr std::size_t most = 8;
        if (params_.size() > most)
            throw Error(ErrorKind::usage,
                        fmt::format("{} has {} parameters", name_, params_.size()), where,
                        fmt::format("{} at most", most));
        for (std::size_t p = inputs_; p < params_.size(); ++p) {
            const auto known = std::span(params_).first(inputs_);
            if (is_letter(params_[p].type) &&
                std::ranges::find(known, params_[p].type, &ElementwiseParam::type) == known.end())
                throw Error(ErrorKind::usage,
                            fmt::format("no input of {} says what {} is, the type of {}", name_,
                                        params_[p].type, params_[p].name),
                            where);
        }
    }

    const std::string& name() const { return name_; }

    Array call(std::span<const JitArg* const> args, const std::source_location& where) {
        const std::size_t given = args.size() < inputs_ ? 0 : args.size() - inputs_;
        const std::size_t outputs = params_.size() - inputs_;
        if (args.size() != params_.size() && (args.size() != inputs_ || outputs > 1))
            engine::check_arity(name_, outputs > 1 ? params_.size() : inputs_, args.size(), where);
        std::vector<engine::OperandView> views(args.size());
        std::vector<CallAccess::Row> rows(args.size());
        Shape shape;
        bool there = false;
        for (std::size_t i = 0; i < args.size(); ++i) {
            there |= CallAccess::view_of_any_place(args[i]->arg(), views[i], rows[i]);
            if (i < inputs_ && !views[i].scalar)
                shape = broadcast_shapes({shape, views[i].shape()}, where);
        }
        const std::vector<DType> types = types_of(views, where);
        std::vector<Array> arrays(params_.size());
        std::vector<Scalar> scalars(params_.size());
        for (std::size_t i = 0; i < inputs_; ++i) {
            if (views[i].scalar)
                scalars[i] = number(views[i], types[i], where);
            else
                arrays[i] = in_c_order(views[i].handle(), shape, where);
        }
        for (std::size_t i = inputs_; i < params_.size(); ++i) {
            if (given == 0)
                arrays[i] = there ? device::make_array(shape, types[i], where)
                                  : empty(shape, types[i], Order::c, where);
            else
                arrays[i] = output(i, views[i], shape, where);
        }
        const Array result = arrays[inputs_];
        if (result.size() != 0) launch(types, views, arrays, scalars, where);
        return result;
    }

    std::string inspect(Artifact artifact, const std::vector<DType>& inputs,
                        const std::source_location& where) {
        engine::check_arity(name_, inputs_, inputs.size(), where, engine::Given::types);
        std::map<std::string, std::pair<DType, std::size_t>> letters;
        for (std::size_t i = 0; i < inputs_; ++i) bind(letters, i, inputs[i], where);
        return kernel_for(types_by(letters), std::vector<bool>(inputs_, false))
            .inspect(artifact, where);
    }

  private:
    using Letters = std::map<std::string, std::pair<DType, std::size_t>>;  // by what argument

    void bind(Letters& letters, std::size_t i, DType t, Location where) const {
        if (!is_letter(params_[i].type)) {
            const DType wanted = *dtype_named(params_[i].type);
            if (t != wanted)
                throw Error(ErrorKind::type,
                            fmt::format("argument {} of {} has elements of {}, but {} is {}", i + 1,
                                        name_, kiln::name(t), params_[i].name, kiln::name(wanted)),
                            where, "x.astype(...) converts");
            return;
        }
        const auto [known, added] = letters.try_emplace(params_[i].type, t, i + 1);
        if (known->second.first != t)
            throw Error(
                ErrorKind::type,
                fmt::format("argument {} of {} has elements of {}, but {} is {} by argument {}",
                            i + 1, name_, kiln::name(t), params_[i].type,
                            kiln::name(known->second.first), known->second.second),
                where, "x.astype(...) converts");
    }

    std::vector<DType> types_by(const Letters& letters) const {
        std::vector<DType> types;
        for (const ElementwiseParam& p : params_)
            types.push_back(is_letter(p.type) ? letters.at(p.type).first : *dtype_named(p.type));
        return types;
    }

    /// Of the arrays of a call, and of numbers for letters that no array has.
    std::vector<DType> types_of(std::span<const engine::OperandView> views, Location where) const {
        Letters letters;
        for (std::size_t i = 0; i < views.size(); ++i)
            if (!views[i].scalar) bind(letters, i, views[i].dtype, where);
        for (std::size_t i = 0; i < inputs_; ++i)
            if (views[i].scalar && is_letter(params_[i].type))
                letters.try_emplace(params_[i].type, views[i].dtype, i + 1);
        return types_by(letters);
    }

    static Scalar number(const engine::OperandView& view, DType t,
                         const std::source_location& where) {
        Scalar value;
        value.dtype = view.dtype;
        std::memcpy(value.bytes.data(), view.data, size_of(view.dtype));
        if (view.weak && is_real(t) && !is_complex(value.dtype)) return value.cast(t);
        if (view.weak && is_integer(t) && is_integer(value.dtype)) {
            const Scalar made = value.cast(t), back = made.cast(value.dtype);
            if (std::memcmp(back.bytes.data(), value.bytes.data(), size_of(value.dtype)) == 0)
                return made;
        }
        return value.safe_cast(t, where);
    }

    Array output(std::size_t i, const engine::OperandView& view, const Shape& shape,
                 Location where) const {
        if (view.scalar)
            throw Error(ErrorKind::usage,
                        fmt::format("argument {} of {} is a number, but {} is an output", i + 1,
                                    name_, params_[i].name),
                        where);
        if (view.shape() != shape)
            throw Error(ErrorKind::shape,
                        fmt::format("{} of {} has shape {}, its inputs have {}", params_[i].name,
                                    name_, to_string(view.shape()), to_string(shape)),
                        where);
        if (!view.is_contiguous())
            throw Error(ErrorKind::usage,
                        fmt::format("{} of {} is not contiguous", params_[i].name, name_), where,
                        "elements of outputs follow each other in C order");
        return view.handle();
    }

    void launch(const std::vector<DType>& types, std::span<const engine::OperandView> views,
                const std::vector<Array>& arrays, const std::vector<Scalar>& scalars,
                const std::source_location& where) {
        std::vector<bool> numbers;
        for (std::size_t i = 0; i < inputs_; ++i) numbers.push_back(views[i].scalar);
        const RawKernel kernel = kernel_for(types, numbers);
        const std::int64_t n = arrays[inputs_].size();
        std::vector<Array> lines(arrays.size());
        std::vector<JitArg> arguments;
        for (std::size_t i = 0; i < arrays.size(); ++i) {
            if (i < inputs_ && numbers[i]) {
                arguments.emplace_back(scalars[i]);
                continue;
            }
            lines[i] = arrays[i].reshape({n}, where);
            arguments.emplace_back(lines[i]);
        }
        arguments.emplace_back(n);
        std::vector<const JitArg*> all;
        for (const JitArg& a : arguments) all.push_back(&a);
        constexpr std::int64_t threads = 256, most_blocks = 65'536;
        const std::int64_t blocks = std::min(detail::ceil_div(n, threads), most_blocks);
        kernel.call({.blocks = static_cast<unsigned>(blocks), .threads = unsigned(threads)}, all,
                    where);
    }

    /// Errors: unsupported; usage, of the text.
    RawKernel kernel_for(const std::vector<DType>& types, const std::vector<bool>& numbers) {
        const std::lock_guard lock(mutex_);
        const auto known = kernels_.find({types, numbers});
        if (known != kernels_.end()) return known->second;
        std::vector<ArgType> of;
        for (std::size_t p = 0; p < params_.size(); ++p) {
            if (size_of(types[p]) == 2 && !is_integer(types[p])) refuse(p, types[p]);
            if (is_complex(types[p])) refuse(p, types[p]);
            const bool number = p < inputs_ && numbers[p];
            of.push_back({types[p], static_cast<std::uint8_t>(number ? 0 : 1)});
        }
        of.push_back(i64);
        RawKernel made = cuda::raw(text(types, numbers), name_, of, options_, where_);
        kernels_.emplace(std::pair(types, numbers), made);
        return made;
    }

    [[noreturn]] void refuse(std::size_t p, DType t) const {
        throw Error(ErrorKind::unsupported,
                    fmt::format("{} of {} is {}, for which CUDA text has no type of its own",
                                params_[p].name, name_, kiln::name(t)),
                    where_);
    }

    std::string text(const std::vector<DType>& types, const std::vector<bool>& numbers) const {
        std::string list, types_of_letters, elements;
        std::map<std::string, DType> letters;
        for (std::size_t p = 0; p < params_.size(); ++p) {
            const auto& [type, name] = params_[p];
            const std::string_view t = info(types[p]).cuda;
            if (is_letter(type) && letters.try_emplace(type, types[p]).second)
                types_of_letters += fmt::format("    using {} = {};\n", type, t);
            if (p < inputs_ && numbers[p]) {
                list += fmt::format("{} {}, ", t, name);
            } else if (p < inputs_) {
                list += fmt::format("const {}* {}_of_all, ", t, name);
                elements += fmt::format("        const {} {} = {}_of_all[i];\n", t, name, name);
            } else {
                list += fmt::format("{}* {}_of_all, ", t, name);
                elements += fmt::format("        {}& {} = {}_of_all[i];\n", t, name, name);
            }
        }
        return fmt::format(
            "extern \"C\" __global__ void {}({}long long kiln_n) {{\n{}"
            "    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < kiln_n;\n"
            "         i += (long long)gridDim.x * blockDim.x) {{\n{}"
            "#line 1 \"{}\"\n{};\n    }}\n}}\n",
            name_, list, types_of_letters, elements, name_, operation_);
    }

    const std::string name_, operation_;
    std::vector<ElementwiseParam> params_;  // the inputs first
    const std::size_t inputs_;
    const RawOptions options_;
    const std::source_location where_;
    Mutex mutex_;  // of what follows
    std::map<std::pair<std::vector<DType>, std::vector<bool>>, RawKernel> kernels_;
};

}  // namespace detail

RawElementwise::RawElementwise(Shared<detail::RawElementwiseState> state)
    : state_(std::move(state)) {}

const std::string& RawElementwise::name() const { return state_->name(); }

Array RawElementwise::operator()(JitArg a0, JitArg a1, JitArg a2, JitArg a3, JitArg a4, JitArg a5,
                                 JitArg a6, JitArg a7, std::source_location where) const {
    const JitArg* const all[] = {&a0, &a1, &a2, &a3, &a4, &a5, &a6, &a7};
    std::size_t count = 0;
    while (count < std::size(all) && !all[count]->is_none()) ++count;
    return state_->call(std::span(all, count), where);
}

std::string RawElementwise::inspect(Artifact artifact, const std::vector<DType>& inputs,
                                    std::source_location where) const {
    return state_->inspect(artifact, inputs, where);
}

RawElementwise cuda::raw_elementwise(const std::string& inputs, const std::string& outputs,
                                     std::string operation, std::string name, RawOptions options,
                                     std::source_location where) {
    return RawElementwise(share<detail::RawElementwiseState>(inputs, outputs, std::move(operation),
                                                             std::move(name), options, where));
}

}  // namespace kiln
