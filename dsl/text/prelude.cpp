#include "dsl/text/prelude.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <span>
#include <unordered_map>

#include <fmt/format.h>

namespace kiln::text {
namespace {

/// Types that C++ gives functions of numbers, and what arrays and loops are.
constexpr std::string_view foundations = R"(
using size_t = decltype(sizeof(0));
using ptrdiff_t = long;
using int8_t = signed char; using int16_t = short; using int32_t = int; using int64_t = long;
using uint8_t = unsigned char; using uint16_t = unsigned short; using uint32_t = unsigned;
using uint64_t = unsigned long;
namespace std {
using ::size_t; using ::ptrdiff_t;
using ::int8_t; using ::int16_t; using ::int32_t; using ::int64_t;
using ::uint8_t; using ::uint16_t; using ::uint32_t; using ::uint64_t;
template <class T> struct remove_reference { using type = T; };
template <class T> struct remove_reference<T&> { using type = T; };
template <class T> struct remove_reference<T&&> { using type = T; };
template <class T> using remove_reference_t = typename remove_reference<T>::type;
template <class T> struct remove_cv { using type = __remove_cv(T); };
template <class T> using remove_cv_t = typename remove_cv<T>::type;
template <class T> using remove_cvref_t = __remove_cvref(T);
template <class T> using decay_t = __decay(T);
template <bool B, class T, class F> struct conditional { using type = T; };
template <class T, class F> struct conditional<false, T, F> { using type = F; };
template <bool B, class T, class F> using conditional_t = typename conditional<B, T, F>::type;
template <class T> using make_unsigned_t = __make_unsigned(T);
template <class T> using make_signed_t = __make_signed(T);
template <class A, class B> constexpr bool is_same_v = __is_same(A, B);
template <class T> constexpr bool is_integral_v = __is_integral(T);
template <class T> constexpr bool is_floating_point_v = __is_floating_point(T);
template <class T> constexpr bool is_arithmetic_v = __is_arithmetic(T);
template <class T> constexpr bool is_signed_v = __is_signed(T);
template <class T> constexpr bool is_unsigned_v = __is_unsigned(T);
template <class T> concept integral = is_integral_v<T>;
template <class T> concept floating_point = is_floating_point_v<T>;
template <class A, class B> concept same_as = is_same_v<A, B>;
template <class T> struct numeric_limits;
template <> struct numeric_limits<double> {
  static constexpr int digits = __DBL_MANT_DIG__;
  static constexpr double denorm_min() { return __DBL_DENORM_MIN__; }
  static constexpr double min() { return __DBL_MIN__; }
  static constexpr double max() { return __DBL_MAX__; }
  static constexpr double lowest() { return -__DBL_MAX__; }
  static constexpr double epsilon() { return __DBL_EPSILON__; }
  static constexpr double infinity() { return __builtin_huge_val(); }
  static constexpr double quiet_NaN() { return __builtin_nan(""); }
};
template <> struct numeric_limits<float> {
  static constexpr int digits = __FLT_MANT_DIG__;
  static constexpr float denorm_min() { return __FLT_DENORM_MIN__; }
  static constexpr float min() { return __FLT_MIN__; }
  static constexpr float max() { return __FLT_MAX__; }
  static constexpr float lowest() { return -__FLT_MAX__; }
  static constexpr float epsilon() { return __FLT_EPSILON__; }
  static constexpr float infinity() { return __builtin_huge_valf(); }
  static constexpr float quiet_NaN() { return __builtin_nanf(""); }
};
template <integral T> struct numeric_limits<T> {
  static constexpr int digits = sizeof(T) * 8 - is_signed_v<T>;
  static constexpr T max() {
    return is_signed_v<T> ? T(~(1ull << (sizeof(T) * 8 - 1))) : T(~0ull);
  }
  static constexpr T min() { return is_signed_v<T> ? T(1ull << (sizeof(T) * 8 - 1)) : T(0); }
  static constexpr T lowest() { return min(); }
};
template <class T> constexpr T max(T a, T b) { return a < b ? b : a; }
template <class T> constexpr T min(T a, T b) { return b < a ? b : a; }
// What a list { ... } is to functions that take one.
template <class E> class initializer_list {
  const E* first_;
  size_t size_;
};
template <class T> T max(initializer_list<T> all);
template <class T> T min(initializer_list<T> all);
template <class T> constexpr T clamp(T x, T low, T high) { return x < low ? low : high < x ? high : x; }
template <class T> constexpr void swap(T& a, T& b) { T c = a; a = b; b = c; }
template <class T> constexpr remove_reference_t<T>&& move(T&& x) { return static_cast<remove_reference_t<T>&&>(x); }
template <class T> constexpr T&& forward(remove_reference_t<T>& x) { return static_cast<T&&>(x); }
template <class T> constexpr const T& as_const(T& x) { return x; }
template <class T, class U = T> constexpr T exchange(T& x, U next) { T was = x; x = next; return was; }
template <class T> concept unsigned_integral = integral<T> && is_unsigned_v<T>;
template <class T> concept signed_integral = integral<T> && is_signed_v<T>;
template <class T, size_t N> struct array {
  T data_[N];
  constexpr T& operator[](size_t i) { return data_[i]; }
  constexpr const T& operator[](size_t i) const { return data_[i]; }
  constexpr size_t size() const { return N; }
};
template <class A, class B> struct pair { A first; B second; };
template <class A, class B> pair(A, B) -> pair<A, B>;
template <class A, class B> constexpr pair<A, B> make_pair(A a, B b) { return {a, b}; }
template <class... T> struct tuple;
template <class A> struct tuple<A> { A _0; };
template <class A, class B> struct tuple<A, B> { A _0; B _1; };
template <class A, class B, class C> struct tuple<A, B, C> { A _0; B _1; C _2; };
template <class A, class B, class C, class D> struct tuple<A, B, C, D> { A _0; B _1; C _2; D _3; };
template <class... T> tuple(T...) -> tuple<T...>;
template <class... T> constexpr tuple<T...> make_tuple(T... t) { return {t...}; }
template <size_t I, class T> constexpr auto& part_of(T& t) {
  if constexpr (I == 0) return t._0;
  else if constexpr (I == 1) return t._1;
  else if constexpr (I == 2) return t._2;
  else return t._3;
}
template <size_t I, class... T> constexpr auto& get(tuple<T...>& t) { return part_of<I>(t); }
template <size_t I, class... T> constexpr auto& get(const tuple<T...>& t) { return part_of<I>(t); }
template <size_t I, class A, class B> constexpr auto& get(pair<A, B>& p) {
  if constexpr (I == 0) return p.first;
  else return p.second;
}
template <size_t I, class A, class B> constexpr auto& get(const pair<A, B>& p) {
  if constexpr (I == 0) return p.first;
  else return p.second;
}
template <size_t I, class T, size_t N> constexpr auto& get(array<T, N>& a) { return a[I]; }
template <size_t I, class T, size_t N> constexpr auto& get(const array<T, N>& a) { return a[I]; }
// A number of a kernel: its parts are never read but by what computes constants.
template <class T> struct complex {
  using value_type = T;
  T re_, im_;
  constexpr complex(T re = T(), T im = T()) : re_(re), im_(im) {}
  template <class U> constexpr complex(const complex<U>& z) : re_(z.re_), im_(z.im_) {}
  constexpr T real() const { return re_; }
  constexpr T imag() const { return im_; }
  constexpr void real(T x) { *this = complex(x, imag()); }
  constexpr void imag(T x) { *this = complex(real(), x); }
  complex& operator+=(T x) { return *this = *this + x; }
  complex& operator-=(T x) { return *this = *this - x; }
  complex& operator*=(T x) { return *this = *this * x; }
  complex& operator/=(T x) { return *this = *this / x; }
  template <class U> complex& operator+=(complex<U> z) { return *this = *this + complex(z); }
  template <class U> complex& operator-=(complex<U> z) { return *this = *this - complex(z); }
  template <class U> complex& operator*=(complex<U> z) { return *this = *this * complex(z); }
  template <class U> complex& operator/=(complex<U> z) { return *this = *this / complex(z); }
};
template <class T> complex<T> operator+(complex<T> a, complex<T> b);
template <class T> complex<T> operator-(complex<T> a, complex<T> b);
template <class T> complex<T> operator*(complex<T> a, complex<T> b);
template <class T> complex<T> operator/(complex<T> a, complex<T> b);
template <class T> bool operator==(complex<T> a, complex<T> b);
template <class T> complex<T> operator-(complex<T> a);
template <class T> complex<T> operator+(complex<T> a) { return a; }
template <class T> complex<T> operator+(complex<T> a, T b) { return {a.real() + b, a.imag()}; }
template <class T> complex<T> operator-(complex<T> a, T b) { return {a.real() - b, a.imag()}; }
template <class T> complex<T> operator*(complex<T> a, T b) { return {a.real() * b, a.imag() * b}; }
template <class T> complex<T> operator/(complex<T> a, T b) { return {a.real() / b, a.imag() / b}; }
template <class T> complex<T> operator+(T a, complex<T> b) { return {a + b.real(), b.imag()}; }
template <class T> complex<T> operator-(T a, complex<T> b) { return {a - b.real(), -b.imag()}; }
template <class T> complex<T> operator*(T a, complex<T> b) { return {a * b.real(), a * b.imag()}; }
template <class T> complex<T> operator/(T a, complex<T> b) { return complex<T>(a) / b; }
template <class T> bool operator==(complex<T> a, T b) { return a == complex<T>(b); }
inline namespace literals {
inline namespace complex_literals {
constexpr complex<double> operator""i(long double y) { return {0.0, double(y)}; }
constexpr complex<double> operator""i(unsigned long long y) { return {0.0, double(y)}; }
constexpr complex<float> operator""if(long double y) { return {0.0f, float(y)}; }
}
}
}
#define INFINITY __builtin_inff()
#define NAN __builtin_nanf("")
#define HUGE_VAL __builtin_huge_val()
#define HUGE_VALF __builtin_huge_valf()
#define CHAR_BIT 8
#define SCHAR_MAX __SCHAR_MAX__
#define SCHAR_MIN (-__SCHAR_MAX__ - 1)
#define UCHAR_MAX (2 * __SCHAR_MAX__ + 1)
#define SHRT_MAX __SHRT_MAX__
#define SHRT_MIN (-__SHRT_MAX__ - 1)
#define USHRT_MAX (2 * __SHRT_MAX__ + 1)
#define INT_MAX __INT_MAX__
#define INT_MIN (-__INT_MAX__ - 1)
#define UINT_MAX (2U * __INT_MAX__ + 1)
#define LONG_MAX __LONG_MAX__
#define LONG_MIN (-__LONG_MAX__ - 1)
#define ULONG_MAX (2UL * __LONG_MAX__ + 1)
#define LLONG_MAX __LONG_LONG_MAX__
#define LLONG_MIN (-__LONG_LONG_MAX__ - 1)
#define ULLONG_MAX (2ULL * __LONG_LONG_MAX__ + 1)
#define INT8_MAX SCHAR_MAX
#define INT8_MIN SCHAR_MIN
#define UINT8_MAX UCHAR_MAX
#define INT16_MAX SHRT_MAX
#define INT16_MIN SHRT_MIN
#define UINT16_MAX USHRT_MAX
#define INT32_MAX INT_MAX
#define INT32_MIN INT_MIN
#define UINT32_MAX UINT_MAX
#define INT64_MAX LONG_MAX
#define INT64_MIN LONG_MIN
#define UINT64_MAX ULONG_MAX
#define FLT_MAX __FLT_MAX__
#define FLT_MIN __FLT_MIN__
#define FLT_EPSILON __FLT_EPSILON__
#define DBL_MAX __DBL_MAX__
#define DBL_MIN __DBL_MIN__
#define DBL_EPSILON __DBL_EPSILON__
#define M_E 2.7182818284590452354
#define M_LOG2E 1.4426950408889634074
#define M_LOG10E 0.43429448190325182765
#define M_LN2 0.69314718055994530942
#define M_LN10 2.30258509299404568402
#define M_PI 3.14159265358979323846
#define M_PI_2 1.57079632679489661923
#define M_PI_4 0.78539816339744830962
#define M_1_PI 0.31830988618379067154
#define M_2_PI 0.63661977236758134308
#define M_2_SQRTPI 1.12837916709551257390
#define M_SQRT2 1.41421356237309504880
#define M_SQRT1_2 0.70710678118654752440
namespace std::numbers {
#define KILN_NUMBER(name, value) \
  template <class T> constexpr T name##_v = T(value); constexpr double name = name##_v<double>;
KILN_NUMBER(e, 2.718281828459045235360287471352662498L)
KILN_NUMBER(log2e, 1.442695040888963407359924681001892137L)
KILN_NUMBER(log10e, 0.434294481903251827651128918916605082L)
KILN_NUMBER(pi, 3.141592653589793238462643383279502884L)
KILN_NUMBER(inv_pi, 0.318309886183790671537767526745028724L)
KILN_NUMBER(inv_sqrtpi, 0.564189583547756286948079451560772586L)
KILN_NUMBER(ln2, 0.693147180559945309417232121458176568L)
KILN_NUMBER(ln10, 2.302585092994045684017991454684364208L)
KILN_NUMBER(sqrt2, 1.414213562373095048801688724209698079L)
KILN_NUMBER(sqrt3, 1.732050807568877293527446341505872367L)
KILN_NUMBER(inv_sqrt3, 0.577350269189625764509148780501957456L)
KILN_NUMBER(egamma, 0.577215664901532860606512090082402431L)
KILN_NUMBER(phi, 1.618033988749894848204586834365638118L)
#undef KILN_NUMBER
}
namespace kiln {
using Index = long;
using float16 = _Float16;
using bfloat16 = __bf16;
namespace detail {
template <class T> struct RealOf { using type = double; };
template <> struct RealOf<float> { using type = float; };
template <> struct RealOf<_Float16> { using type = _Float16; };
template <> struct RealOf<__bf16> { using type = __bf16; };
template <class T> struct RealOf<std::complex<T>> { using type = std::complex<T>; };
template <class T> using Real = typename RealOf<T>::type;
template <class T> struct PartOf { using type = T; };
template <class T> struct PartOf<std::complex<T>> { using type = T; };
template <class T> using Part = typename PartOf<T>::type;
template <class A, class B> struct CommonOf { using type = decltype(A() + B()); };
template <class A> struct CommonOf<A, A> { using type = A; };
template <class A, class B> using Common = typename CommonOf<A, B>::type;
template <class A, class B> using RealCommon = decltype(Real<A>() + Real<B>());
struct Loop {
  struct Iterator {
    long at;
    long operator*() const;
    Iterator& operator++();
    bool operator!=(const Iterator&) const;
  };
  Iterator begin() const;
  Iterator end() const;
};
}
using Range = detail::Loop;
enum class Schedule : unsigned char { automatic, static_, dynamic, guided };
struct PrangeOptions {
  Schedule schedule = Schedule::automatic;
  long chunk = 0;
  bool unsafe_races = false;
};
Range range(long end);
Range range(long begin, long end, long step = 1);
Range prange(long end, PrangeOptions options = {});
Range prange(long begin, long end, PrangeOptions options = {});
Range prange(long begin, long end, long step, PrangeOptions options = {});
template <class T, int Rank> struct View {
  template <class... I> T& operator()(I... subscripts) const;
  long extent(int dimension) const;
  static constexpr int rank() { return Rank; }
};
template <class T, int Rank> struct Neighbors {
  template <class... I> std::remove_cv_t<T> operator()(I... offsets) const;
  long index(int dimension) const;
  static constexpr int rank() { return Rank; }
};
}
)";

/// <cmath>'s names: those that are operations, by their names in std. Functions of reals promote
/// integers to double.
constexpr std::string_view cmath_unary[] = {
    "sin",   "cos",   "tan",  "asin",   "acos",   "atan",  "sinh", "cosh",  "tanh",  "asinh",
    "acosh", "atanh", "exp",  "exp2",   "expm1",  "log",   "log2", "log10", "log1p", "cbrt",
    "sqrt",  "erf",   "erfc", "tgamma", "lgamma", "floor", "ceil", "trunc", "rint",  "fabs"};
constexpr std::string_view cmath_binary[] = {"atan2", "hypot",    "pow", "fmod",
                                             "fmin",  "copysign", "fmax"};
constexpr std::string_view cmath_predicates[] = {"isnan", "isinf", "isfinite", "signbit"};
/// <complex>'s names: those that kiln has of complex numbers.
constexpr std::string_view complex_unary[] = {"sin",  "cos",  "tan",   "sinh",  "cosh",  "tanh",
                                              "asin", "acos", "atan",  "asinh", "acosh", "atanh",
                                              "exp",  "log",  "log10", "sqrt",  "conj"};
constexpr std::string_view complex_parts[] = {"real", "imag", "abs", "arg", "norm"};
constexpr std::string_view cmath_reals[] = {"float", "double", "_Float16", "__bf16"};

/// pow and what is made of logarithms, of complex numbers.
constexpr std::string_view complex_powers = R"(
template <class T> complex<T> pow(complex<T>, complex<T>);
template <class T> complex<T> pow(complex<T> a, T b) { return pow(a, complex<T>(b)); }
template <class T> complex<T> pow(T a, complex<T> b) { return pow(complex<T>(a), b); }
template <class T, integral I> complex<T> pow(complex<T> a, I b) { return pow(a, complex<T>(T(b))); }
template <class T> complex<T> polar(T r, T angle = T()) { return {r * cos(angle), r * sin(angle)}; }
)";

/// What of <cmath> is made of other functions.
constexpr std::string_view cmath_text = R"(
namespace std {
template <floating_point T> constexpr T nearest_away(T x) {
  const T whole = trunc(x);
  return fabs(x - whole) >= T(0.5) ? whole + copysign(T(1), x) : whole;
}
inline float round(float x) { return nearest_away(x); }
inline double round(double x) { return nearest_away(x); }
template <integral T> double round(T x) { return double(x); }
inline float nearbyint(float x) { return rint(x); }
inline double nearbyint(double x) { return rint(x); }
template <integral T> double nearbyint(T x) { return double(x); }
inline long lround(double x) { return long(round(x)); }
inline long lrint(double x) { return long(rint(x)); }
inline int abs(int x) { return x < 0 ? -x : x; }
inline long abs(long x) { return x < 0 ? -x : x; }
inline long long abs(long long x) { return x < 0 ? -x : x; }
inline float abs(float x) { return fabs(x); }
inline double abs(double x) { return fabs(x); }
inline float fma(float a, float b, float c) { return kiln::fma(a, b, c); }
inline double fma(double a, double b, double c) { return kiln::fma(a, b, c); }
inline float fdim(float a, float b) { return a <= b ? 0.0f : a - b; }
inline double fdim(double a, double b) { return a <= b ? 0.0 : a - b; }
inline long long llround(double x) { return (long long)(round(x)); }
template <floating_point A, floating_point B, floating_point C> auto hypot(A a, B b, C c) { return hypot(hypot(a, b), c); }
inline float ldexp(float x, int n) { return kiln::ldexp(x, n); }
inline double ldexp(double x, int n) { return kiln::ldexp(x, n); }
inline float scalbn(float x, int n) { return kiln::ldexp(x, n); }
inline double scalbn(double x, int n) { return kiln::ldexp(x, n); }
template <floating_point A, floating_point B> auto nextafter(A a, B b) { return kiln::nextafter(decltype(a + b)(a), decltype(a + b)(b)); }
template <floating_point T> T midpoint(T a, T b) {
  const T sum = a + b, largest = numeric_limits<T>::max();
  return sum >= -largest && sum <= largest ? sum / 2 : a / 2 + b / 2;
}
template <integral T> T midpoint(T a, T b) {
  using U = make_unsigned_t<T>;
  const U half = U(a > b ? U(a) - U(b) : U(b) - U(a)) / 2;
  return T(a > b ? U(a) - half : U(a) + half);
}
template <integral A, integral B> auto gcd(A a, B b) { return kiln::gcd(a, b); }
template <integral A, integral B> auto lcm(A a, B b) { return kiln::lcm(a, b); }
template <unsigned_integral T> int popcount(T x) { return kiln::bitwise_count(x); }
template <unsigned_integral T> int countr_zero(T x) { return popcount(T(~x & (x - 1))); }
template <unsigned_integral T> int countr_one(T x) { return countr_zero(T(~x)); }
template <unsigned_integral T> int bit_width(T x) {
  x |= x >> 1;
  x |= x >> 2;
  x |= x >> 4;
  if constexpr (sizeof(T) > 1) x |= x >> 8;
  if constexpr (sizeof(T) > 2) x |= x >> 16;
  if constexpr (sizeof(T) > 4) x |= x >> 32;
  return popcount(x);
}
template <unsigned_integral T> int countl_zero(T x) { return numeric_limits<T>::digits - bit_width(x); }
template <unsigned_integral T> int countl_one(T x) { return countl_zero(T(~x)); }
template <unsigned_integral T> bool has_single_bit(T x) { return x != 0 && (x & (x - 1)) == 0; }
template <unsigned_integral T> T rotl(T x, int s) {
  constexpr int n = numeric_limits<T>::digits;
  const int by = (s % n + n) % n;
  return by == 0 ? x : T(T(x << by) | T(x >> (n - by)));
}
template <unsigned_integral T> T rotr(T x, int s) { return rotl(x, -s); }
}
using std::ldexp; using std::scalbn; using std::nextafter; using std::llround;
using std::round; using std::nearbyint; using std::lround; using std::lrint; using std::abs;
using std::fma; using std::fdim; using std::max; using std::min;
)";

struct Row {
    std::string_view name;
    int arity;
    ir::Rule rule;
    ir::Op op;
};
constexpr Row operations[] = {
#define KILN_NAMED(id, arity, rule, cuda, doc) {#id, arity, ir::Rule::rule, ir::Op::id},
#define KILN_FUNCTION(id, arity, rule, fold, sleef, cuda, ulp, fast_ulp, doc) \
    {#id, arity, ir::Rule::rule, ir::Op::id},
#include <kiln/ops.def>
};

/// The result of an operation as a C++ type of the parameters' types A, B, C; nothing where it has
/// no form for plain numbers.
std::string_view result_type(const Row& row) {
    using ir::Rule;
    const bool unary = row.arity == 1;
    switch (row.rule) {
        case Rule::arithmetic:
        case Rule::arithmetic_no_bool:
        case Rule::division:
        case Rule::integer_division:
        case Rule::power:
        case Rule::bitwise: return unary ? "A" : "detail::Common<A, B>";
        case Rule::rounding:
        case Rule::shift: return "A";
        case Rule::magnitude:
        case Rule::part: return "detail::Part<A>";
        case Rule::real_arithmetic:
        case Rule::true_division:
        case Rule::real_function:
        case Rule::real_or_complex:
            return unary            ? "detail::Real<A>"
                   : row.arity == 2 ? "detail::RealCommon<A, B>"
                                    : "detail::RealCommon<A, detail::RealCommon<B, C>>";
        case Rule::comparison:
        case Rule::logical:
        case Rule::predicate: return "bool";
        case Rule::choice: return "detail::Common<B, C>";
        case Rule::pair: return "";
    }
    __builtin_unreachable();
}

/// The results of functions of several operations, as C++ types; "" where they have no form for
/// plain numbers.
struct CompositeResult {
    std::string_view name, type;
};
constexpr CompositeResult composite_results[] = {
    {"clip", "detail::Common<A, detail::Common<B, C>>"},
    {"square", "A"},
    {"reciprocal", "A"},
    {"rsqrt", "detail::Real<A>"},
    {"logaddexp", "detail::RealCommon<A, B>"},
    {"logaddexp2", "detail::RealCommon<A, B>"},
    {"heaviside", "detail::RealCommon<A, B>"},
    {"gcd", "detail::Common<A, B>"},
    {"lcm", "detail::Common<A, B>"},
    {"deg2rad", "detail::Real<A>"},
    {"rad2deg", "detail::Real<A>"},
    {"norm", "detail::Part<A>"},
    {"arg", "detail::Part<detail::Real<A>>"},
    {"fabs", "detail::Real<A>"},
    {"float_power", "double"},
    {"positive", "A"},
    {"bitwise_count", "unsigned char"},
    {"nextafter", "detail::RealCommon<A, B>"},
    {"spacing", "detail::Real<A>"},
    {"ldexp", "detail::Real<A>"},
};
consteval std::string_view composite_result(std::string_view name) {
    for (const CompositeResult& row : composite_results)
        if (row.name == name) return row.type;
    throw "a function of ops.def has no row in composite_results";
}

struct CompositeRow {
    std::string_view name;
    int arity;
    std::string_view result;
};
/// Those with one result: a function of numbers returns no pair.
constexpr CompositeRow composites[] = {
#define KILN_RESULTS_1(id, arity) {#id, arity, composite_result(#id)},
#define KILN_RESULTS_2(id, arity)
#define KILN_COMPOSITE(id, arity, results, doc) KILN_RESULTS_##results(id, arity)
#include <kiln/ops.def>
#undef KILN_RESULTS_1
#undef KILN_RESULTS_2
};

bool contains(std::span<const std::string_view> names, std::string_view name) {
    for (const std::string_view one : names)
        if (one == name) return true;
    return false;
}
bool is_cmath(std::string_view name) {
    return contains(cmath_unary, name) || contains(cmath_binary, name) ||
           contains(cmath_predicates, name) || name == "abs" || name == "fma";
}

void declare(std::string& text, std::string_view name, int arity, std::string_view result) {
    constexpr std::string_view heads[] = {"", "class A", "class A, class B",
                                          "class A, class B, class C"};
    constexpr std::string_view params[] = {"", "A", "A, B", "A, B, C"};
    text += fmt::format("template <{}> {} {}({});\n", heads[arity], result, name, params[arity]);
}

void declare_cmath(std::string& text) {
    text += "namespace std {\n";
    for (const std::string_view name : cmath_unary) {
        for (const std::string_view real : cmath_reals)
            text += fmt::format("{} {}({});", real, name, real);
        text += fmt::format("template <integral T> double {}(T);\n", name);
    }
    for (const std::string_view name : cmath_binary) {
        for (const std::string_view real : cmath_reals)
            text += fmt::format("{} {}({}, {});", real, name, real, real);
        text += fmt::format(
            "template <class A, class B> requires(is_arithmetic_v<A> && is_arithmetic_v<B> && "
            "!is_same_v<A, B> || is_integral_v<A> && is_integral_v<B>) "
            "kiln::detail::RealCommon<A, B> {}(A, B);\n",
            name);
    }
    for (const std::string_view name : cmath_predicates)
        text += fmt::format("template <class T> bool {}(T);\n", name);
    for (const std::string_view name : complex_unary)
        text += fmt::format("template <class T> complex<T> {}(complex<T>);\n", name);
    for (const std::string_view name : complex_parts)
        text += fmt::format("template <class T> T {}(complex<T>);\n", name);
    text += complex_powers;
    text += "}\n";
    const auto use = [&](std::span<const std::string_view> names) {
        for (const std::string_view name : names) text += fmt::format("using std::{};", name);
    };
    use(cmath_unary);
    use(cmath_binary);
    use(cmath_predicates);
}

/// What <kiln/native.h> has.
constexpr std::string_view kernel_mark =
    "#define KILN_KERNEL __attribute__((annotate(\"kiln_kernel\")))\n";
constexpr std::string_view native_text = R"(
namespace kiln::native {
using kiln::View; using kiln::range; using kiln::prange; using kiln::atomic_add;
}
)";

std::string make_prelude(bool of_file) {
    std::string text(foundations), uses;
    text += "namespace kiln {\n";
    const auto use = [&](std::string_view name) {
        if (!is_cmath(name)) uses += fmt::format("using kiln::{};", name);
    };
    for (const Row& row : operations) {
        const std::string_view result = result_type(row);
        if (result.empty()) continue;
        declare(text, row.name, row.arity, result);
        use(row.name);
    }
    for (const CompositeRow& row : composites) {
        declare(text, row.name, row.arity, row.result);
        use(row.name);
    }
    for (const auto& [name, reduction] : atomics()) {
        text +=
            fmt::format("template <class T, class V> T atomic_{}(T& element, V value);\n", name);
        use(fmt::format("atomic_{}", name));
    }
    text += "}\n";
    declare_cmath(text);
    text += cmath_text;
    text += native_text;
    if (of_file) return text += kernel_mark;
    text += uses + "namespace native = kiln::native;\n";
    text +=
        "using kiln::View; using kiln::Neighbors; using kiln::Index; using kiln::range; using "
        "kiln::prange;\n";
    text += "using kiln::Schedule; using kiln::PrangeOptions;\n";
    return text;
}

}  // namespace

const std::string& prelude(bool of_file) {
    static const std::string& text = *new std::string(make_prelude(false));
    static const std::string& file_text = *new std::string(make_prelude(true));
    return of_file ? file_text : text;
}

std::span<const Atomic> atomics() {
    static constexpr Atomic rows[] = {
        {"add", ir::Reduction::sum},    {"min", ir::Reduction::min},
        {"max", ir::Reduction::max},    {"and", ir::Reduction::all_bits},
        {"or", ir::Reduction::any_bit}, {"xor", ir::Reduction::parity}};
    return rows;
}

std::span<const std::string_view> known_headers() {
    static constexpr std::string_view names[] = {
        "cmath",       "cstdint",        "cstddef",       "algorithm",   "array",
        "utility",     "complex",        "limits",        "tuple",       "type_traits",
        "concepts",    "numbers",        "numeric",       "bit",         "climits",
        "cfloat",      "cstdlib",        "math.h",        "stdint.h",    "stddef.h",
        "limits.h",    "float.h",        "stdlib.h",      "kiln/kiln.h", "kiln/kernel.h",
        "kiln/text.h", "kiln/stencil.h", "kiln/native.h", "kiln/view.h"};
    return names;
}

std::optional<Builtin> builtin(std::string_view name) {
    static const auto& table = *[] {
        auto* made = new std::unordered_map<std::string_view, Builtin>;
        for (const Row& row : operations)
            made->emplace(row.name, Builtin{Builtin::Kind::operation, row.op});
#define KILN_ONE_OF(arity, id) KILN_ONE_OF_##arity(id)
#define KILN_ONE_OF_1(id) composite.unary = [](Operand a) { return kiln::id(a); };
#define KILN_ONE_OF_2(id) composite.binary = [](Operand a, Operand b) { return kiln::id(a, b); };
#define KILN_ONE_OF_3(id) \
    composite.ternary = [](Operand a, Operand b, Operand c) { return kiln::id(a, b, c); };
#define KILN_RESULTS_1(arity, id)                  \
    {                                              \
        Builtin composite;                         \
        composite.kind = Builtin::Kind::composite; \
        KILN_ONE_OF(arity, id)                     \
        made->emplace(#id, composite);             \
    }
#define KILN_RESULTS_2(arity, id)
#define KILN_COMPOSITE(id, arity, results, doc) KILN_RESULTS_##results(arity, id)
#include <kiln/ops.def>
#undef KILN_ONE_OF
#undef KILN_ONE_OF_1
#undef KILN_ONE_OF_2
#undef KILN_ONE_OF_3
#undef KILN_RESULTS_1
#undef KILN_RESULTS_2
        return made;
    }();
    const auto found = table.find(name);
    if (found == table.end()) return std::nullopt;
    return found->second;
}

}  // namespace kiln::text
