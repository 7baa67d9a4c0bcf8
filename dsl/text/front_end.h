// Functions written as C++ text: what they look like from outside, and their bodies as nodes of a
// kernel. Nothing here needs Clang's headers.
#pragma once
#include "dsl/trace/trace.h"

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::text {

/// C++ text, and what errors call the file that it stands in.
struct Unit {
    std::string name;
    std::string code;
    /// It is a file of a program: its names are where it has them, kiln's are those of kiln::native,
    /// and "x.h" is read from this folder.
    std::optional<std::string> folder = {};
};

/// How a parameter is used, as far as its declaration and its function's body tell.
enum class Passing : std::uint8_t {
    value,   ///< a scalar
    output,  ///< T&: a scalar that the function gives
    in,      ///< an array that is only read
    inout,
    neighbors,  ///< an array that is indexed relative to an element
};

struct Parameter {
    std::string name;
    Passing passing = Passing::value;
    std::optional<DType> dtype = {};       ///< of numbers; nothing where it depends on the call
    std::optional<int> rank = {};          ///< of an array, likewise
    std::optional<std::size_t> like = {};  ///< an output: the parameter whose type it has
    bool deduced = false;                  ///< it has no type: auto, T
};

/// A function, or the overloads and templates of one name, which agree in this.
struct Declaration {
    std::vector<Parameter> params;
    bool returns = false;

    std::size_t count(Passing passing) const;
};

/// What `function` of the text takes and gives. Errors: usage (there is none of that name, with
/// those that there are; overloads that differ in what they take), type (what Clang says of the
/// text), unsupported.
Declaration declaration_of(const Unit& unit, const std::string& function, const Location& where);

/// A function of a program's file that is marked with KILN_KERNEL, or an instantiation of one.
struct Marked {
    std::string name;    ///< ns::f<double>
    std::string symbol;  ///< what the linker calls it
    Declaration declaration;
};

/// In the order of the file; `files`: the headers of its own that it includes. Errors: type (what Clang
/// says of it), unsupported (a kernel that other files cannot name, or of types that are not known).
std::vector<Marked> marked_functions(const Unit& unit, std::vector<std::string>& files);

/// What a stencil's array is to the function that computes an element.
struct NeighborAccess {
    DType dtype;
    int rank;
    std::function<ir::Id(std::span<const ir::Id> offsets)> at;
    std::function<ir::Id(int dimension)> index;
};

/// An argument: the node of a scalar, or the number of an array parameter of the kernel.
struct Argument {
    bool is_array = false;
    ir::Id value = ir::none;
    std::uint32_t param = 0;
    const NeighborAccess* neighbors = nullptr;
};

/// Adds the body of `function`, called with these arguments, to the kernel that is being traced:
/// Clang chooses among overloads and instantiates templates for their types. Gives the returned
/// value, if there is one, and then the outputs, except where the arguments have an array of rank 0
/// for each output, which is written then. Errors: type
/// (what Clang says; an argument that would narrow), unsupported (what kernels cannot do), at the
/// line of the text, which stands below the message with a caret.
std::vector<ir::Id> lower(const Unit& unit, const std::string& function,
                          const Declaration& declaration, std::span<const Argument> arguments,
                          dsl::Trace& trace, const Location& where);

}  // namespace kiln::text
