#include "jit/compile/c_header.h"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

namespace kiln::engine {
namespace {

using abi::ExportedRole;

/// Of C and C++, as far as kernels and parameters may have got them from elsewhere.
constexpr std::string_view keywords[] = {
    "alignas",  "alignof",  "asm",      "auto",     "bool",     "break",   "case",      "catch",
    "char",     "class",    "concept",  "const",    "continue", "default", "delete",    "do",
    "double",   "else",     "enum",     "explicit", "export",   "extern",  "false",     "float",
    "for",      "friend",   "goto",     "if",       "inline",   "int",     "long",      "main",
    "mutable",  "new",      "noexcept", "nullptr",  "operator", "private", "protected", "public",
    "register", "requires", "restrict", "return",   "short",    "signed",  "sizeof",    "static",
    "struct",   "switch",   "template", "this",     "throw",    "true",    "try",       "typedef",
    "typeid",   "typename", "union",    "unsigned", "using",    "virtual", "void",      "volatile",
    "wchar_t",  "while"};

std::string_view c_type(DType dtype) {
    switch (dtype) {
        case DType::bool_:
        case DType::u8: return "uint8_t";
        case DType::i8: return "int8_t";
        case DType::i16: return "int16_t";
        case DType::i32: return "int32_t";
        case DType::i64: return "int64_t";
        case DType::f16:
        case DType::bf16:
        case DType::u16: return "uint16_t";
        case DType::u32: return "uint32_t";
        case DType::u64: return "uint64_t";
        case DType::f32:
        case DType::c64: return "float";
        case DType::f64:
        case DType::c128: return "double";
    }
    __builtin_unreachable();
}

/// What C's type does not say.
std::string_view meaning(DType dtype) {
    switch (dtype) {
        case DType::bool_: return "bool, 0 or 1";
        case DType::f16: return "f16, the bits of IEEE binary16";
        case DType::bf16: return "bf16, the upper half of a float's bits";
        case DType::c64: return "c64, pairs of a real and an imaginary part";
        case DType::c128: return "c128, pairs of a real and an imaginary part";
        case DType::i8:
        case DType::i16:
        case DType::i32:
        case DType::i64:
        case DType::u8:
        case DType::u16:
        case DType::u32:
        case DType::u64:
        case DType::f32:
        case DType::f64: return name(dtype);
    }
    __builtin_unreachable();
}

std::string_view needs(abi::ExportedCpu cpu) {
    switch (cpu) {
        case abi::ExportedCpu::v2: return "x86-64-v2 (SSE4.2)";
        case abi::ExportedCpu::v3: return "x86-64-v3 (AVX2, FMA, F16C, BMI2)";
        case abi::ExportedCpu::v4: return "x86-64-v4 (AVX-512 F, BW, CD, DQ, VL)";
    }
    __builtin_unreachable();
}

class Writer {
  public:
    explicit Writer(const CHeader& header) : h_(header) {
        if (h_.is_map) taken_.push_back("n");
        for (const CParam& p : h_.params) {
            std::string name = is_c_name(p.name) ? p.name : p.name + "_";
            if (!is_c_name(name)) name = "argument";
            while (std::ranges::find(taken_, name) != taken_.end()) name += '_';
            taken_.push_back(name);
            names_.push_back(name);
            if (!has_shape(p)) continue;
            taken_.push_back(name + "_shape");
            taken_.push_back(name + "_strides");
        }
    }

    std::string text() const {
        return fmt::format(
            "{}#ifndef KILN_EXPORTED_{}_H\n#define KILN_EXPORTED_{}_H\n\n"
            "#include <stdint.h>\n\n#ifdef __cplusplus\nextern \"C\" {{\n#endif\n\n"
            "{}\n{}\n#ifdef __cplusplus\n}}\n#endif\n\n#endif\n",
            comment(), h_.symbol, h_.symbol, runtime(), prototype());
    }

  private:
    bool has_shape(const CParam& p) const { return !h_.is_map && p.rank > 0; }

    std::string comment() const {
        std::string text = fmt::format("/* {}: a kernel of kiln, compiled ({}:{}).\n *\n",
                                       h_.kernel, h_.where.short_file(), h_.where.line);
        if (!h_.note.empty()) text += fmt::format(" * {}\n *\n", h_.note);
        if (h_.is_map)
            text += " *   n: how many elements each array has, without gaps between them\n";
        for (std::size_t i = 0; i < h_.params.size(); ++i) {
            const CParam& p = h_.params[i];
            text += fmt::format(" *   {}: {}", names_[i], meaning(p.dtype));
            switch (p.role) {
                case ExportedRole::value: break;
                case ExportedRole::reference: text += ", one of them"; break;
                case ExportedRole::result: text += ", one element, written"; break;
                case ExportedRole::array:
                case ExportedRole::made:
                    text += p.rank == 0 ? ", one element" : fmt::format(", {}", shape_of(p));
                    text += p.written ? ", written" : ", read";
                    break;
            }
            text += '\n';
        }
        if (std::ranges::any_of(h_.params, [&](const CParam& p) { return has_shape(p); }))
            text +=
                " *\n * Strides are in bytes, from one index to the next; NULL: C order. Elements "
                "follow each\n"
                " * other along the last axis. An extent of 1 is not broadcast.\n";
        text += h_.is_map ? " *\n * An output may be an input whose elements have the same size; "
                            "it overlaps none otherwise.\n"
                          : " *\n * Arrays that are written overlap no others.\n";
        text += fmt::format(
            " * Returns 0 (KILN_OK), or which of what follows it met; what it wrote is then not "
            "all of it.\n"
            " * {}\n"
            " * Needs a CPU of {}, and libkiln_rt.a, libm and the threads of\n"
            " * the C library. May be called by several threads at once.\n */\n",
            h_.threads ? "Computes on several threads (kiln_rt_set_num_threads), with the same "
                         "bits on any number."
                       : "Computes on the calling thread.",
            needs(h_.cpu));
        return text;
    }

    static std::string shape_of(const CParam& p) {
        return p.rank == 1 ? "an array of 1 dimension"
                           : fmt::format("an array of {} dimensions", p.rank);
    }

    static std::string runtime() {
        std::string text = "#ifndef KILN_RT_STATUS\n#define KILN_RT_STATUS\nenum {\n";
        int number = 0;
        const auto add = [&](std::string id, std::string_view meaning) {
            std::ranges::transform(
                id, id.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
            text += fmt::format("    KILN_{} = {}, /* {} */\n", id, number++, meaning);
        };
#define KILN_STATUS(id, text) add(#id, text);
#include "codegen/exported/status.def"
#undef KILN_STATUS
        text.erase(text.rfind(','), 1);  // which C90 and C++98 don't take
        return text +
               "};\n"
               "const char* kiln_rt_status_text(int status);\n"
               "/* Of all exported kernels of the program. At first KILN_NUM_THREADS, or as many "
               "as there are\n"
               " * CPUs; 0: that again. */\n"
               "void kiln_rt_set_num_threads(int threads);\n"
               "int kiln_rt_num_threads(void);\n#endif\n";
    }

    std::string prototype() const {
        std::vector<std::string> params;
        if (h_.is_map) params.push_back("int64_t n");
        for (std::size_t i = 0; i < h_.params.size(); ++i) {
            const CParam& p = h_.params[i];
            if (p.role == ExportedRole::value) {
                params.push_back(fmt::format("{} {}", c_type(p.dtype), names_[i]));
                continue;
            }
            params.push_back(
                fmt::format("{}{}* {}", p.written ? "" : "const ", c_type(p.dtype), names_[i]));
            if (!has_shape(p)) continue;
            params.push_back(fmt::format("const int64_t* {}_shape", names_[i]));
            params.push_back(fmt::format("const int64_t* {}_strides", names_[i]));
        }
        std::string all;
        for (const std::string& p : params) all += (all.empty() ? "" : ",\n    ") + p;
        return fmt::format("int {}({});\n", h_.symbol, all.empty() ? "void" : all);
    }

    const CHeader& h_;
    std::vector<std::string> taken_, names_;  ///< of C; one a parameter
};

}  // namespace

bool is_c_name(std::string_view name) {
    const auto is_part = [](unsigned char c) {
        return (std::isalnum(c) != 0 && c < 128) || c == '_';
    };
    return !name.empty() && std::isdigit(static_cast<unsigned char>(name[0])) == 0 &&
           std::ranges::all_of(name, is_part) &&
           std::ranges::find(keywords, name) == std::end(keywords);
}

std::string c_header(const CHeader& header) { return Writer(header).text(); }

}  // namespace kiln::engine
