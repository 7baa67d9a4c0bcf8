// Arrays as text, in the layout that NumPy gives them.
#include <kiln/array.h>
#include <kiln/environment.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <complex>
#include <functional>
#include <string>
#include <vector>

namespace kiln {

namespace {

constexpr std::size_t line_width = 75;
constexpr std::int64_t summary_threshold = 1000;
constexpr std::int64_t edge_items = 3;
constexpr int precision = 8;  // digits after the point

/// The shortest decimal digits that give the element's value back, in its own type.
template <class T> std::string shortest(T value, std::chars_format format) {
    char buffer[400];
    char* end = nullptr;
    if constexpr (detail::is_storage_float<T>) {
        const float wide = static_cast<float>(value);
        for (int digits = 0; digits <= 8; ++digits) {
            end = std::to_chars(buffer, buffer + sizeof buffer, wide, std::chars_format::scientific,
                                digits)
                      .ptr;
            double read = 0;
            std::from_chars(buffer, end, read);
            if (static_cast<T>(static_cast<float>(read)) == value) {
                return shortest(read, format);
            }
        }
        return shortest(static_cast<double>(wide), format);
    } else {
        end = std::to_chars(buffer, buffer + sizeof buffer, value, format).ptr;
        return {buffer, end};
    }
}

/// One real number as its parts: [-]whole . fraction [e exponent].
struct Parts {
    std::string whole, fraction, exponent;
};
template <class T> Parts split(T value, bool scientific) {
    const auto format = scientific ? std::chars_format::scientific : std::chars_format::fixed;
    std::string text = shortest(value, format);
    const auto point_of = [](const std::string& s) { return s.find('.'); };
    const std::size_t mantissa_end = std::min(text.find('e'), text.size());
    if (point_of(text) != std::string::npos && mantissa_end - point_of(text) - 1 > precision) {
        using Wide = std::conditional_t<detail::is_storage_float<T>, float, T>;
        char buffer[400];
        char* const end = std::to_chars(buffer, buffer + sizeof buffer, static_cast<Wide>(value),
                                        format, precision)
                              .ptr;
        text.assign(buffer, end);
    }
    Parts parts;
    const std::size_t e = std::min(text.find('e'), text.size());
    const std::size_t point = std::min(point_of(text), e);
    parts.whole = text.substr(0, point);
    if (point < e) parts.fraction = text.substr(point + 1, e - point - 1);
    while (!parts.fraction.empty() && parts.fraction.back() == '0') parts.fraction.pop_back();
    if (e < text.size()) parts.exponent = text.substr(e);
    return parts;
}

/// The common format of the real numbers of one array.
template <class T> class RealFormat {
  public:
    RealFormat(const std::vector<T>& values, bool always_sign) : always_sign_(always_sign) {
        double largest = 0, smallest = 0;
        for (const T value : values) {
            const double magnitude = std::abs(static_cast<double>(static_cast<Wide>(value)));
            if (!std::isfinite(magnitude) || magnitude == 0) continue;
            largest = std::max(largest, magnitude);
            smallest = smallest == 0 ? magnitude : std::min(smallest, magnitude);
        }
        scientific_ =
            largest >= 1e8 || (smallest != 0 && (smallest < 1e-4 || largest / smallest > 1000));
        for (const T value : values) {
            const double wide = static_cast<double>(static_cast<Wide>(value));
            if (!std::isfinite(wide)) continue;
            const Parts parts = split(value, scientific_);
            left_ = std::max(left_,
                             parts.whole.size() + (always_sign_ && !std::signbit(wide) ? 1U : 0U));
            right_ = std::max(right_, parts.fraction.size());
            exponent_ = std::max(exponent_, parts.exponent.size());
        }
        for (const T value : values) {
            const double wide = static_cast<double>(static_cast<Wide>(value));
            if (std::isfinite(wide)) continue;
            const std::size_t length =
                std::isnan(wide) ? 3 : 3U + (std::signbit(wide) || always_sign_ ? 1U : 0U);
            const std::size_t tail = right_ + 1 + exponent_;
            left_ = std::max(left_, length > tail ? length - tail : 0);
        }
    }

    std::string operator()(T value) const {
        const double wide = static_cast<double>(static_cast<Wide>(value));
        const std::string sign = always_sign_ && !std::signbit(wide) ? "+" : "";
        std::string text;
        if (std::isnan(wide)) {
            text = "nan";
        } else if (std::isinf(wide)) {
            text = (wide < 0 ? "-" : sign) + "inf";
        } else {
            Parts parts = split(value, scientific_);
            parts.fraction.append(right_ - parts.fraction.size(), scientific_ ? '0' : ' ');
            if (scientific_) parts.exponent.insert(2, exponent_ - parts.exponent.size(), '0');
            const std::string whole = sign + parts.whole;
            return std::string(left_ - std::min(left_, whole.size()), ' ') + whole + '.' +
                   parts.fraction + parts.exponent;
        }
        const std::size_t width = left_ + 1 + right_ + exponent_;
        return std::string(width - std::min(width, text.size()), ' ') + text;
    }

  private:
    using Wide = std::conditional_t<detail::is_storage_float<T>, float, T>;
    bool always_sign_;
    bool scientific_ = false;
    std::size_t left_ = 0, right_ = 0, exponent_ = 0;
};

template <class T> std::vector<std::string> format_values(const std::vector<T>& values,
                                                          bool is_scalar) {
    std::vector<std::string> words;
    words.reserve(values.size());
    if constexpr (detail::IsComplex<T>::value) {
        using R = typename T::value_type;
        std::vector<R> real, imaginary;
        for (const T& value : values) {
            real.push_back(value.real());
            imaginary.push_back(value.imag());
        }
        const RealFormat<R> real_format(real, false), imaginary_format(imaginary, true);
        for (const T& value : values) {
            std::string imaginary_part = imaginary_format(value.imag());
            imaginary_part.insert(imaginary_part.find_last_not_of(' ') + 1, 1, 'j');
            words.push_back(real_format(value.real()) + imaginary_part);
        }
    } else if constexpr (std::is_same_v<T, unsigned char> || !std::is_integral_v<T>) {
        if constexpr (std::is_same_v<T, unsigned char>) {  // bools, which std::vector would pack
            for (const T value : values)
                words.emplace_back(value != 0 ? (is_scalar ? "True" : " True") : "False");
        } else {
            const RealFormat<T> format(values, false);
            for (const T value : values) words.push_back(format(value));
        }
    } else {
        std::size_t width = 0;
        for (const T value : values) words.push_back(std::to_string(value));
        for (const std::string& word : words) width = std::max(width, word.size());
        for (std::string& word : words) word.insert(0, width - word.size(), ' ');
    }
    return words;
}

/// Brackets, line breaks and the dots of left-out elements.
class Layout {
  public:
    Layout(const Array& array, bool summarise) : array_(array), summarise_(summarise) {
        collect(Shape{});
        words_ = visit_dtype(array.dtype(), [&](auto type) {
            using T = typename decltype(type)::type;
            if constexpr (std::is_same_v<T, bool>) {
                return format_values(values_of<unsigned char>(), array.rank() == 0);
            } else if constexpr (sizeof(T) == 1) {  // apart from bools
                std::vector<int> wide;
                for (const T value : values_of<T>()) wide.push_back(value);
                return format_values(wide, array.rank() == 0);
            } else {
                return format_values(values_of<T>(), array.rank() == 0);
            }
        });
    }

    std::string text() { return axis(0, " ", line_width); }

  private:
    bool leaves_out(int d) const { return summarise_ && array_.extent(d) > 2 * edge_items; }

    /// The positions along axis d that are shown.
    std::vector<std::int64_t> shown(int d) const {
        std::vector<std::int64_t> positions;
        for (std::int64_t i = 0; i < array_.extent(d); ++i) {
            if (leaves_out(d) && i == edge_items) i = array_.extent(d) - edge_items;
            positions.push_back(i);
        }
        return positions;
    }

    void collect(const Shape& index) {
        if (index.rank() == array_.rank()) {
            elements_.push_back(array_.scalar_at(index));
            return;
        }
        for (const std::int64_t i : shown(index.rank())) {
            Shape next = index;
            next.push_back(i);
            collect(next);
        }
    }
    template <class T> std::vector<T> values_of() const {
        std::vector<T> values;
        values.reserve(elements_.size());
        for (const Scalar& element : elements_) values.push_back(element.get<T>());
        return values;
    }

    /// Words are taken in the order in which collect() found their elements.
    std::string axis(int d, const std::string& indent, std::size_t width) {
        if (d == array_.rank()) return words_[next_word_++];
        const std::size_t count = shown(d).size();
        const bool innermost = d + 1 == array_.rank();
        std::string text, line = indent;
        const auto put = [&](const std::string& word, bool last) {
            if (innermost) {
                if (line.size() + word.size() > width - 1 && line.size() > indent.size()) {
                    line.erase(line.find_last_not_of(' ') + 1);
                    text += line + '\n';
                    line = indent;
                }
                line += word;
                if (!last) line += ' ';
            } else {
                text += indent + word;
                if (!last)
                    text += std::string(static_cast<std::size_t>(array_.rank() - d - 1), '\n');
            }
        };
        for (std::size_t k = 0; k < count; ++k) {
            if (leaves_out(d) && k == edge_items) put("...", false);
            put(axis(d + 1, indent + ' ', width - 1), k + 1 == count);
        }
        if (innermost) text += line;
        return '[' + text.substr(indent.size()) + ']';
    }

    const Array& array_;
    bool summarise_;
    std::vector<Scalar> elements_;
    std::vector<std::string> words_;
    std::size_t next_word_ = 0;
};

}  // namespace

std::string to_string(const Array& array) {
    if (!array.place().is_host()) return to_string(array.to_host(Location()));
    const detail::DefaultEnvironment environment;
    if (array.size() == 0) return "[]";
    return Layout(array, array.size() > summary_threshold).text();
}

}  // namespace kiln
