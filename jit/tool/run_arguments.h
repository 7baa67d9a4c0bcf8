// The words of `kiln run` that are arguments of the kernel.
#pragma once
#include <kiln/array.h>

#include <string>
#include <string_view>

namespace kiln::tool {

/// 2.5, f32:2.5, @x.npy, =z.npy, =z.npy:f64[100,200], +a.npy=b.npy.
struct RunArgument {
    enum class Kind : unsigned char {
        number,
        input,   ///< a file that is read
        output,  ///< a file that is written
        update,  ///< a file that is read, and another one that is written
    };
    Kind kind = Kind::number;
    Scalar number = {};  ///< weak where the word tells no dtype
    std::string from = {}, to = {};
    /// Of an output: what it is before the call. Without a rank its type is the kernel's to say.
    bool has_type = false;
    DType dtype = DType::f64;
    Shape shape = {};

    /// Errors: UsageError.
    explicit RunArgument(std::string_view word);

  private:
    void read_number(std::string_view word);
    void read_type(std::string_view type, std::string_view word);
};

/// With all digits that tell it from others of its dtype: 0.1, 1e+300, true, (1,-2).
std::string digits(const Scalar& value);

}  // namespace kiln::tool
