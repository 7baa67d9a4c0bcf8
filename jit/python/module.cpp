// The extension of the Python package kiln: kernels of C++ text over whatever exports DLPack or the buffer protocol.
// What Python programs see is kiln/__init__.py, which wraps this.
#include <kiln/kiln.h>
#include <kiln/text.h>

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <array>
#include <complex>
#include <cstdint>
#include <exception>
#include <iterator>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace nb = nanobind;
using namespace kiln;

namespace {

using Where = std::source_location;

// ------------------------------------------------------------------------------------------- errors

nb::handle error_type;

/// The line of the Python program that called: the innermost frame that is not of the package.
Location caller(std::string& file) {
    nb::object frame =
        nb::steal(reinterpret_cast<PyObject*>(PyThreadState_GetFrame(PyThreadState_Get())));
    while (frame.is_valid() && !frame.is_none()) {
        file = nb::cast<std::string>(frame.attr("f_code").attr("co_filename"));
        if (nb::cast<std::string>(frame.attr("f_globals").attr("get")("__name__", "")) != "kiln")
            return {file, nb::cast<std::uint32_t>(frame.attr("f_lineno"))};
        frame = frame.attr("f_back");
    }
    return {};
}

/// Python's exception for an Error. One that has a line of this file is about the Python program's line.
void raise(const Error& error) {
    std::string file;
    const bool of_call = error.file() == Where::current().file_name();
    const Error shown =
        of_call ? Error(error.kind(), error.message(), caller(file), error.hint()) : error;
    nb::object value = error_type(shown.what());
    value.attr("kind") = std::string(name(shown.kind()));
    value.attr("message") = shown.message();
    value.attr("hint") = shown.hint();
    value.attr("file") = shown.file();
    value.attr("line") = shown.line();
    PyErr_SetObject(error_type.ptr(), value.ptr());
}

// ------------------------------------------------------------------------------------------- arrays

std::optional<DType> dtype_of_tensor(nb::dlpack::dtype t) {
    using Code = nb::dlpack::dtype_code;
    if (t.lanes != 1) return std::nullopt;
    if (t.code == std::uint8_t(Code::Bfloat)) return DType::bf16;
    const Kind kind = t.code == std::uint8_t(Code::Bool)      ? Kind::boolean
                      : t.code == std::uint8_t(Code::Int)     ? Kind::signed_integer
                      : t.code == std::uint8_t(Code::UInt)    ? Kind::unsigned_integer
                      : t.code == std::uint8_t(Code::Complex) ? Kind::complex
                                                              : Kind::real;
    for (std::size_t i = 0; i < dtype_count; ++i)
        if (dtype_table[i].kind == kind && dtype_table[i].size * 8 == t.bits)
            return static_cast<DType>(i);
    return std::nullopt;
}
nb::dlpack::dtype tensor_dtype(DType t) {
    using Code = nb::dlpack::dtype_code;
    static constexpr std::array codes{Code::Bool, Code::Int, Code::UInt, Code::Float,
                                      Code::Complex};
    const Code code =
        t == DType::bf16 ? Code::Bfloat : codes[static_cast<std::size_t>(info(t).kind)];
    return {std::uint8_t(code), std::uint8_t(8 * info(t).size), 1};
}

/// The elements of what exports them, without a copy, which live as long as the Array.
template <class Tensor> Array over(const Tensor& tensor, bool writeable) {
    const auto dtype = dtype_of_tensor(tensor.dtype());
    if (!dtype)
        throw Error(ErrorKind::type, "an array's elements are of a type that kiln has not",
                    Where::current());
    if (tensor.ndim() > static_cast<std::size_t>(max_rank))
        throw Error(ErrorKind::shape,
                    "an array has " + std::to_string(tensor.ndim()) + " axes; arrays have up to 8",
                    Where::current());
    Shape shape, strides;
    for (std::size_t d = 0; d < tensor.ndim(); ++d) {
        shape.push_back(static_cast<std::int64_t>(tensor.shape(d)));
        strides.push_back(tensor.stride(d) * static_cast<std::int64_t>(size_of(*dtype)));
    }
    return Array::from_memory(tensor.data(), *dtype, shape, strides,
                              std::make_shared<Tensor>(tensor), writeable);
}
using Writeable = nb::ndarray<nb::device::cpu>;
using Readable = nb::ndarray<nb::ro, nb::device::cpu>;

std::optional<Array> array_of(nb::handle object) {
    Writeable writeable;
    if (nb::try_cast(object, writeable)) return over(writeable, true);
    Readable readable;
    if (nb::try_cast(object, readable)) return over(readable, false);
    return std::nullopt;
}

/// An object with DLPack and the buffer protocol, which shares the elements.
nb::object given(const Array& array) {
    std::array<std::size_t, max_rank> shape{};
    std::array<std::int64_t, max_rank> strides{};
    for (int d = 0; d < array.rank(); ++d) {
        const auto i = static_cast<std::size_t>(d);
        shape[i] = static_cast<std::size_t>(array.extent(d));
        strides[i] = array.stride(d) / static_cast<std::int64_t>(array.item_size());
    }
    const nb::capsule owner(new Array(array),
                            [](void* p) noexcept { delete static_cast<Array*>(p); });
    return nb::cast(nb::ndarray<nb::array_api>(array.data(), static_cast<std::size_t>(array.rank()),
                                               shape.data(), owner, strides.data(),
                                               tensor_dtype(array.dtype())));
}
nb::object number(const Scalar& value) {
    switch (kind_of(value.dtype)) {
        case Kind::boolean: return nb::cast(value.cast(DType::bool_).get<bool>());
        case Kind::signed_integer: return nb::cast(value.cast(DType::i64).get<std::int64_t>());
        case Kind::unsigned_integer: return nb::cast(value.cast(DType::u64).get<std::uint64_t>());
        case Kind::real: return nb::cast(value.cast(DType::f64).get<double>());
        case Kind::complex: break;
    }
    const auto z = value.cast(DType::c128).get<std::complex<double>>();
    return nb::steal(PyComplex_FromDoubles(z.real(), z.imag()));
}

/// A number of Python itself, which is weak; else an array, of no axes a strong number.
std::optional<Scalar> python_number(nb::handle object) {
    if (PyBool_Check(object.ptr())) return Scalar::of(object.is(Py_True), true);
    if (PyLong_CheckExact(object.ptr())) {
        int beyond = 0;
        const std::int64_t value = PyLong_AsLongLongAndOverflow(object.ptr(), &beyond);
        if (beyond == 0) return Scalar::of(value, true);
        const std::uint64_t large = PyLong_AsUnsignedLongLong(object.ptr());
        if (!PyErr_Occurred()) return Scalar::of(large, true);
        PyErr_Clear();
        throw Error(ErrorKind::type, "an integer has more than 64 bits", Where::current());
    }
    if (PyFloat_CheckExact(object.ptr())) return Scalar::of(PyFloat_AsDouble(object.ptr()), true);
    if (PyComplex_CheckExact(object.ptr())) {
        const Py_complex z = PyComplex_AsCComplex(object.ptr());
        return Scalar::of(std::complex<double>(z.real, z.imag), true);
    }
    return std::nullopt;
}

Scalar strong(Scalar value) {
    value.weak = false;
    return value;
}

/// The arguments of a call, as long as it runs.
struct Arguments {
    std::vector<Array> arrays;
    std::vector<Arg> args;
    std::vector<JitArg> jit_args;
    bool has_array = false;

    explicit Arguments(nb::args given) {
        arrays.reserve(given.size());
        args.reserve(given.size());
        jit_args.reserve(given.size());
        for (nb::handle one : given) add(one);
    }
    void add(nb::handle object) {
        if (const auto value = python_number(object)) {
            args.emplace_back(*value);
            jit_args.emplace_back(strong(*value));
            return;
        }
        const auto array = array_of(object);
        if (!array)
            throw Error(ErrorKind::type,
                        "argument " + std::to_string(args.size()) + " is " +
                            nb::cast<std::string>(object.type().attr("__name__")) +
                            ", neither a number nor an array on the CPU",
                        Where::current(), "arrays export DLPack or the buffer protocol");
        if (array->rank() == 0 && array->read_only()) {  // a number of NumPy
            args.emplace_back(array->item());
            jit_args.emplace_back(array->item());
            return;
        }
        has_array = true;
        arrays.push_back(*array);
        args.emplace_back(arrays.back());
        jit_args.emplace_back(arrays.back());
    }
};

ArgType type_of(const std::string& text) {
    const std::string_view name = std::string_view(text).substr(0, text.find('['));
    const std::string_view rest = std::string_view(text).substr(name.size());
    for (std::size_t i = 0; i < dtype_count; ++i) {
        if (dtype_table[i].name != name) continue;
        if (rest.empty()) return {static_cast<DType>(i), 0};
        if (rest.size() == 3 && rest[1] >= '0' && rest[1] <= '8' && rest[2] == ']')
            return {static_cast<DType>(i), static_cast<std::uint8_t>(rest[1] - '0')};
    }
    throw Error(ErrorKind::usage, "'" + text + "' is no type of an argument", Where::current(),
                "write f64 for a number, f64[2] for an array of two axes");
}
std::vector<ArgType> types_of(const std::vector<std::string>& texts) {
    std::vector<ArgType> types;
    std::ranges::transform(texts, std::back_inserter(types), type_of);
    return types;
}
template <class Table> auto named(const std::string& text, const Table& names, const char* what) {
    std::string all;
    for (const auto& [value, name] : names) {
        if (name == text) return value;
        all += (all.empty() ? "" : ", ") + std::string(name);
    }
    throw Error(ErrorKind::usage, "'" + text + "' is no " + what, Where::current(),
                "one of " + all);
}
Artifact artifact(const std::string& text) {
    static constexpr std::pair<Artifact, std::string_view> all[] = {
#define KILN_ARTIFACT(id, maker, doc) {Artifact::id, #id},
#include <kiln/artifacts.def>
#undef KILN_ARTIFACT
    };
    return named(text, all, "artifact");
}

// ------------------------------------------------------------------------------------------ kernels

struct Options {
    bool parallel, checked;
    Fastmath fastmath;
    template <class KernelOptions> KernelOptions of() const {
        KernelOptions made;
        made.fastmath = fastmath;
        made.parallel = parallel;
        made.checked = checked;
        return made;
    }
};

/// f(args..., options) of as many arguments as there are.
template <class F, std::size_t... I>
std::vector<Array> call_all(const F& f, const std::vector<Arg>& args, const auto& options,
                            std::index_sequence<I...>) {
    return f.all(args[I]..., options, Where::current());
}
template <std::size_t Least, class F>
std::vector<Array> call_all(const F& f, const std::vector<Arg>& args, const auto& options) {
    std::vector<Array> results;
    const bool done = [&]<std::size_t... N>(std::index_sequence<N...>) {
        return (
            (args.size() == N + Least &&
             (results = call_all(f, args, options, std::make_index_sequence<N + Least>()), true)) ||
            ...);
    }(std::make_index_sequence<9 - Least>());
    if (!done)
        throw Error(ErrorKind::usage, std::string(f.name()) + ": a call has up to 8 arguments",
                    Where::current());
    return results;
}

/// What Ufunc and Gufunc have in common here.
template <class Kernel, class CallOptionsOf, std::size_t Least> struct ElementKernel {
    Kernel kernel;

    nb::list call(nb::args given_args, nb::object out, nb::object where, nb::object dtype) const {
        Arguments arguments(given_args);
        CallOptionsOf options;
        std::vector<Array> outs = outputs(out);
        std::vector<OutArg> out_args(outs.begin(), outs.end());
        if (out_args.size() == 1) options.out = out_args[0];
        if (out_args.size() == 2) options.outs = {out_args[0], out_args[1]};
        if (out_args.size() == 3) options.outs = {out_args[0], out_args[1], out_args[2]};
        if (out_args.size() == 4)
            options.outs = {out_args[0], out_args[1], out_args[2], out_args[3]};
        if (out_args.size() > 4)
            throw Error(ErrorKind::usage, "a call has up to 4 outputs", Where::current());
        std::optional<Array> mask;
        if constexpr (requires { options.where; })
            if (!where.is_none()) options.where = mask.emplace(array_or_throw(where, "where"));
        if (!dtype.is_none()) options.dtype = type_of(nb::cast<std::string>(dtype)).dtype;
        std::vector<Array> results;
        {
            const nb::gil_scoped_release others_run;
            results = call_all<Least>(kernel, arguments.args, options);
        }
        nb::list list;
        for (std::size_t i = 0; i < results.size(); ++i) {
            if (i < outs.size())
                list.append(
                    outs.size() == 1 && !nb::isinstance<nb::tuple>(out) ? out : nb::object(out[i]));
            else
                list.append(arguments.has_array ? given(results[i]) : number(results[i].item()));
        }
        return list;
    }
    static std::vector<Array> outputs(nb::object out) {
        std::vector<Array> outs;
        if (out.is_none()) return outs;
        if (!nb::isinstance<nb::tuple>(out)) return {array_or_throw(out, "out")};
        for (nb::handle one : nb::cast<nb::tuple>(out)) outs.push_back(array_or_throw(one, "out"));
        return outs;
    }
    static Array array_or_throw(nb::handle object, const char* what) {
        if (auto array = array_of(object)) return *array;
        throw Error(ErrorKind::type, std::string(what) + " is no array on the CPU",
                    Where::current(), "arrays export DLPack or the buffer protocol");
    }
    std::string inspect(const std::string& what, const std::vector<std::string>& types) const {
        const auto all = types_of(types);
        const Artifact text = artifact(what);
        const nb::gil_scoped_release others_run;
        return kernel.inspect(text, all, Where::current());
    }
};
using UfuncKernel = ElementKernel<Ufunc, CallOptions, 0>;
using GufuncKernel = ElementKernel<Gufunc, GufuncCallOptions, 1>;

/// A loop kernel, whatever it returns.
struct LoopKernel : JitKernel {
    LoopKernel(const std::string& name, text::detail::LoopFunction made)
        : JitKernel(name, std::move(made.params), std::move(made.function), std::move(made.options),
                    Where::current()) {}
    nb::list run(nb::args given_args) const {
        Arguments arguments(given_args);
        std::vector<const JitArg*> pointers;
        for (const JitArg& a : arguments.jit_args) pointers.push_back(&a);
        std::vector<kiln::detail::JitValue> results;
        {
            const nb::gil_scoped_release others_run;
            results = call(pointers, Where::current());
        }
        nb::list list;
        for (const auto& one : results) {
            if (const auto* value = std::get_if<Scalar>(&one))
                list.append(number(*value));
            else
                list.append(given(std::get<Array>(one)));
        }
        return list;
    }
    std::string text_of(const std::string& what, const std::vector<std::string>& types) const {
        const auto all = types_of(types);
        const Artifact text = artifact(what);
        const nb::gil_scoped_release others_run;
        return inspect(text, all, Where::current());
    }
};

/// With each of LLVM's flags by its name, all of them, or none.
Fastmath flags_of(const std::vector<std::string>& names) {
    static constexpr std::pair<Fastmath, std::string_view> all[] = {
        {Fastmath::nnan, "nnan"},       {Fastmath::ninf, "ninf"}, {Fastmath::nsz, "nsz"},
        {Fastmath::arcp, "arcp"},       {Fastmath::afn, "afn"},   {Fastmath::contract, "contract"},
        {Fastmath::reassoc, "reassoc"}, {Fastmath(true), "all"}};
    Fastmath flags;
    for (const std::string& one : names) flags = flags | named(one, all, "flag of fastmath");
    return flags;
}

nb::tuple bundle(const BundleInfo& info) { return nb::make_tuple(info.kernels, info.usable); }

}  // namespace

NB_MODULE(_kiln, m) {
    error_type = PyErr_NewException("kiln.Error", PyExc_Exception, nullptr);
    m.attr("Error") = nb::borrow(error_type);
    nb::register_exception_translator([](const std::exception_ptr& thrown, void*) {
        try {
            std::rethrow_exception(thrown);
        } catch (const Error& error) {
            raise(error);
        }
    });

    nb::class_<Options>(m, "Options")
        .def("__init__", [](Options* self, bool parallel, bool checked,
                            const std::vector<std::string>& fastmath) {
            new (self) Options{parallel, checked, flags_of(fastmath)};
        });
    nb::class_<UfuncKernel>(m, "Ufunc")
        .def("__init__",
             [](UfuncKernel* self, const std::string& code, const std::string& file,
                const std::string& function, const Options& options) {
                 new (self)
                     UfuncKernel{text::vectorize(text::Source(code, file), function,
                                                 options.of<UfuncOptions>(), Where::current())};
             })
        .def("call", &UfuncKernel::call, nb::arg("args"), nb::kw_only(), nb::arg("out").none(),
             nb::arg("where").none(), nb::arg("dtype").none())
        .def("inspect", &UfuncKernel::inspect);
    nb::class_<GufuncKernel>(m, "Gufunc")
        .def("__init__",
             [](GufuncKernel* self, const std::string& code, const std::string& file,
                const std::string& function, const std::string& signature, const Options& options) {
                 new (self)
                     GufuncKernel{text::guvectorize(text::Source(code, file), function, signature,
                                                    options.of<GufuncOptions>(), Where::current())};
             })
        .def("call", &GufuncKernel::call, nb::arg("args"), nb::kw_only(), nb::arg("out").none(),
             nb::arg("where").none(), nb::arg("dtype").none())
        .def("inspect", &GufuncKernel::inspect);
    nb::class_<LoopKernel>(m, "Jit")
        .def("__init__",
             [](LoopKernel* self, const std::string& code, const std::string& file,
                const std::string& function, const Options& options) {
                 new (self) LoopKernel(function, text::detail::loop_function(
                                                     text::Source(code, file), function,
                                                     options.of<JitOptions>(), Where::current()));
             })
        .def("call", &LoopKernel::run)
        .def("inspect", &LoopKernel::text_of);
    m.def("save_bundle",
          [](const std::string& path) { return bundle(save_bundle(path, Where::current())); });
    m.def("load_bundle",
          [](const std::string& path) { return bundle(load_bundle(path, Where::current())); });
    m.def("set_num_threads", [](int threads) { set_num_threads(threads, Where::current()); });
    m.def("num_threads", [] { return num_threads(); });
    m.def("compiles", [] { return stats().compiles; });
}
