// Which axes and elements calls reduce, and how.
#pragma once
#include <kiln/arguments.h>

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <type_traits>
#include <vector>

namespace kiln {

/// Which axes a reduction combines: one, several ({0, 2}), all or none of them. Negative ones count
/// from the last axis. Default-constructed: what the reducing function has as its default.
class Axes {
  public:
    Axes() = default;
    template <std::integral I> Axes(I axis) : kind_(Kind::listed), list_(axis) {}
    Axes(std::initializer_list<int> axes) : kind_(Kind::listed) {
        for (const int axis : axes) list_.push_back(axis);
    }
    static Axes all() { return Axes(Kind::all); }  ///< everything is reduced
    /// Every element is reduced by itself.
    static Axes none() { return Axes(Kind::listed); }

    bool is_default() const { return kind_ == Kind::by_default; }  ///< none were given
    bool is_all() const { return kind_ == Kind::all; }             ///< whether it is all()
    const Shape& list() const { return list_; }  ///< as given, where neither default nor all

  private:
    enum class Kind : std::uint8_t { by_default, all, listed };
    explicit Axes(Kind kind) : kind_(kind) {}
    Kind kind_ = Kind::by_default;
    Shape list_;
};

/// The options of a reduction, for designated initialisers: sum(x, {.axis = 1, .keepdims = true}).
struct ReduceOptions {
    Axes axis = {};         ///< which are combined
    bool keepdims = false;  ///< reduced axes stay, with extent 1
    /// A scalar that is combined in once, and the result where nothing is reduced.
    std::optional<Arg> initial = {};
    /// A bool array that broadcasts with the inputs: elements where it is false are left out.
    std::optional<Arg> where = {};
    /// The dtype that is accumulated in (f16 and bf16 in f32) and of the result.
    std::optional<DType> dtype = {};
    /// Where the result goes: of exactly its shape. May overlap the inputs in any way.
    OutArg out = {};
    /// The memory order of a result that is allocated. keep: that of the inputs' axes which are not
    /// reduced, where the inputs agree on one.
    Order order = Order::c;
};

/// The options of Ufunc::accumulate, for designated initialisers.
struct AccumulateOptions {
    int axis = 0;                     ///< negative ones count from the last axis
    std::optional<DType> dtype = {};  ///< that is accumulated in, and of the result
    OutArg out = {};                  ///< of the array's shape; may be or overlap it
};

/// The options of Ufunc::reduceat, for designated initialisers.
struct ReduceAtOptions {
    int axis = 0;                     ///< negative ones count from the last axis
    std::optional<DType> dtype = {};  ///< that is accumulated in, and of the result
    OutArg out = {};  ///< of exactly the result's shape; may be or overlap the array
};

/// Which elements Ufunc::at changes: indices along axis 0 (one integer or an array of them), or with
/// {i, j} along the first two axes, and so on; they broadcast together. Only refers to arrays.
class Indices {
  public:
    template <class T>
        requires(std::is_convertible_v<const T&, Arg>)
    Indices(const T& along_first) : along_{Arg(along_first)} {}
    Indices(std::initializer_list<Arg> along) : along_(along) {}
    const std::vector<Arg>& along() const { return along_; }  ///< one for each axis

  private:
    std::vector<Arg> along_;
};

}  // namespace kiln
