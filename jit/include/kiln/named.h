// Kernels, arrays and numbers of a program by their names: for sessions inside of it
// (<kiln/interact.h>), and for those over the kernels of a plugin:
//
//     auto saxpy = vectorize([](Value a, Value x, Value y) { return a * x + y; });
//     KILN_EXPORT(saxpy)
//
// `kiln plugin.so` opens a session in which saxpy is that kernel; `kiln inspect plugin.so --kernel
// saxpy --sig 'f64, f64[1], f64[1]' --emit asm` prints a text of it.
#pragma once
#include <kiln/array.h>
#include <kiln/guvectorize.h>
#include <kiln/inspect.h>
#include <kiln/jit.h>
#include <kiln/reduce.h>
#include <kiln/stencil.h>
#include <kiln/vectorize.h>

#include <concepts>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace kiln {
namespace detail {

/// Ufunc, Gufunc, Jit, MapReduce, Stencil.
template <class K>
concept KernelHandle = requires(const K& k, const std::vector<ArgType>& types) {
    { k.name() } -> std::convertible_to<std::string>;
    { k.inspect(Artifact::ir, types) } -> std::convertible_to<std::string>;
};
/// A ready ufunc, which leads to one by `->`.
template <class K>
concept LeadsToKernel = requires(const K& k) {
    { *k.operator->() } -> KernelHandle;
};

// The type that a session knows an object by, which may be a base of its own.
Array named_as(const Array&);
Scalar named_as(const Scalar&);
Ufunc named_as(const Ufunc&);
Gufunc named_as(const Gufunc&);
MapReduce named_as(const MapReduce&);
Stencil named_as(const Stencil&);
template <class R> Jit<R> named_as(const Jit<R>&);
template <LeadsToKernel K> K named_as(const K&);
template <class T>
    requires std::is_arithmetic_v<T>
T named_as(const T&);

/// "kiln::Jit<kiln::Scalar>": as g++ and clang write it, which other code can read.
template <class T> std::string type_text() {
    const std::string_view all = __PRETTY_FUNCTION__;
    const std::size_t begin = all.find("T = ") + 4;
    return std::string(all.substr(begin, all.find_first_of(";]", begin) - begin));
}

}  // namespace detail

/// An object that stays as long as what is given this. Kernels and arrays are the program's own: what
/// is written to them is written there.
class Named {
  public:
    /// Errors: usage (`name` is none of C++).
    template <class T>
        requires requires(const T& object) { detail::named_as(object); }
    Named(std::string name, T& object) : name_(std::move(name)) {
        using Known = decltype(detail::named_as(object));
        using Own = std::conditional_t<std::is_const_v<T>, const Known, Known>;
        type_ = detail::type_text<Known>();
        if (std::is_const_v<T>) type_ = "const " + type_;
        Own& known = object;
        address_ = &known;
        if constexpr (detail::KernelHandle<Known>)
            inspect_ = [&known](Artifact artifact, const std::vector<ArgType>& types) {
                return known.inspect(artifact, types);
            };
        check_name();
    }

    const std::string& name() const { return name_; }  ///< as it is called
    /// C++ that names the type.
    const std::string& type() const { return type_; }
    const void* address() const { return address_; }
    /// The texts of a kernel; none for what has no texts.
    using Inspect = std::function<std::string(Artifact, const std::vector<ArgType>&)>;
    const Inspect& inspect() const { return inspect_; }

  private:
    void check_name() const;

    std::string name_, type_;
    const void* address_ = nullptr;
    Inspect inspect_;
};

/// What libraries of this process have exported, in order.
std::vector<Named> exported();

namespace detail {
/// Of one library: what it exports goes when it is closed.
class Export {
  public:
    explicit Export(Named named);
    ~Export();
    Export(const Export&) = delete;
    Export& operator=(const Export&) = delete;

  private:
    const void* const address_;
};
}  // namespace detail
}  // namespace kiln

/// At namespace scope, behind the kernel or array: exports it under its name.
#define KILN_EXPORT(object) \
    static const ::kiln::detail::Export kiln_export_##object(::kiln::Named(#object, object));
