// Integers of a loop's body as sums: constant + coefficient * atom + ...
#pragma once
#include "dsl/ir/ir.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace kiln::codegen {

__extension__ using Wide = __int128;

/// Bounds of an integer; beyond `infinite` nothing is known.
struct Interval {
    static constexpr Wide infinite = Wide(1) << 100;
    Wide low = -infinite, high = infinite;

    Interval operator+(const Interval& o) const {
        return Interval{low + o.low, high + o.high}.clamped();
    }
    Interval scaled(Wide factor) const;
    Interval clamped() const;
    bool contains(Wide x) const { return low <= x && x <= high; }
};

struct Affine {
    std::map<std::uint32_t, Wide> terms;  ///< atom -> coefficient, never 0
    Wide constant = 0;

    static Affine of(std::uint32_t atom) {
        Affine form;
        form.terms[atom] = 1;
        return form;
    }
    bool operator==(const Affine&) const = default;
    Affine& add(const Affine& other, Wide factor);
    Wide coefficient(std::uint32_t atom) const {
        const auto found = terms.find(atom);
        return found == terms.end() ? 0 : found->second;
    }
};

/// The integers that the body of one loop computes, as sums of atoms. Atom `step` counts the loop's
/// iterations: it differs from iteration to iteration. Other atoms are either the same in all of
/// them (invariant: two of one structure are one atom) or vary. A product of an atom and invariant
/// ones is an atom too: row * n + column is 1 * (row * n) + 1 * column.
/// A loop over the elements of a.slice({start, stop, step}), step > 0: `first` is the node that
/// cuts `start` off at the ends of the array.
struct SliceLoop {
    ir::Id first = ir::none, start = ir::none, stop = ir::none;
    std::int64_t step = 1;
};
/// The bound x of a slice in cut(x), which keeps it between the ends of the array; else none.
ir::Id cut_bound(const ir::Kernel& kernel, ir::Id id);
/// Nothing for other loops.
std::optional<SliceLoop> slice_loop(const ir::Kernel& kernel, ir::Id loop);

class AffineForms {
  public:
    static constexpr std::uint32_t step = 0;

    AffineForms(const ir::Kernel& kernel, ir::Id loop);

    /// What the integer node computes. Arithmetic in 64 bits, and in i32, is taken not to wrap:
    /// such a sum is a subscript, and would have been outside of its array before.
    const Affine& form(ir::Id id);
    /// The same for the subscript of a dimension of an array, where it is inside of that.
    Affine subscript(ir::Id id, std::uint32_t param, std::uint32_t dimension);
    bool invariant(std::uint32_t atom) const { return atoms_[atom].invariant; }
    const Interval& range(std::uint32_t atom) const { return atoms_[atom].range; }
    Interval range(const Affine& form) const;

    /// A form as step * `factor` + `rest`, both without the step; `factor` is invariant.
    struct Stride {
        Affine factor, rest;
    };
    std::optional<Stride> stride(const Affine& form);
    /// What is known of invariant atoms where some code runs: atom -> its least value.
    using Least = std::map<std::uint32_t, Wide>;
    /// Whether the form is an element of a.slice({m * n, (m + 1) * n}), m the iteration's number,
    /// where n may be negative: then the first iteration alone has elements, of which the form says
    /// nothing; no other iteration has elements m * n + r inside of the array, r < n for each n >
    /// 0.
    bool is_of_multiples(const Affine& form) const {
        return std::ranges::any_of(form.terms,
                                   [&](const auto& t) { return atoms_[t.first].of_multiples; });
    }
    /// An invariant sum that the form is never more than, where it is computed; atoms of loops that
    /// run then are put into `least`. Nothing where none is known.
    std::optional<Affine> most(const Affine& form, Least& least, int depth = 0);
    Interval range(const Affine& invariant, const Least& least) const;

    /// end - begin of the loop, where its step is 1 or -1: no fewer than its iterations.
    const std::optional<Affine>& trip() const { return trip_; }
    /// Whether nodes with effects on this array parameter (or slot) are in the body.
    bool stores_to(std::uint32_t param) const { return stored_[param]; }
    /// Whether the body makes the array: each iteration has its own.
    bool is_own(std::uint32_t param) const { return own_[param]; }
    bool writes(std::uint32_t slot) const { return written_[slot]; }
    /// The node that a read of a slot gives, where only one write of this iteration can be meant:
    /// the last one before it, with no other, perhaps skipped or of a loop's next round, between.
    ir::Id only_value(ir::Id read) const {
        const auto found = value_of_.find(read);
        return found == value_of_.end() ? ir::none : found->second;
    }
    /// The nodes of the body in the order of the text, structure included.
    const std::vector<ir::Id>& body() const { return body_; }

  private:
    struct Atom {
        bool invariant;
        Interval range;
        /// Of a product: what is multiplied, in order; no products.
        std::vector<std::uint32_t> factors = {};
        /// Of what counts the iterations of a loop with this step: by * atom <= last where the
        /// loop runs, and atom >= 0.
        Wide by = 1;
        std::optional<Affine> last = {};
        bool of_multiples = false;  ///< counts the elements of a slice as is_of_multiples has it
    };

    using Slots = std::vector<ir::Id>;

    void find_values(ir::Id block, Slots& current);
    void forget_written(ir::Id node, Slots& current) const;
    enum class Bounds : std::uint8_t { may_be_negative, not_negative, multiples };
    Bounds bounds_of(const SliceLoop& slice);
    bool never_negative(ir::Id bound);
    std::optional<Affine> element_of_slice(ir::Id counter, ir::Id first);
    ir::Id invariant_end(ir::Id end, const Affine& begin, bool upwards);
    Affine compute(ir::Id id);
    Affine compute_op(ir::Id id);
    std::optional<Affine> product(const Affine& a, const Affine& b);
    std::uint32_t product_of(std::vector<std::uint32_t> factors);
    std::optional<Affine> most_of(std::uint32_t counter, Wide coefficient,
                                  const std::vector<std::uint32_t>& others, Least& least,
                                  int depth);
    std::vector<std::uint32_t> factors_of(std::uint32_t atom) const;
    Interval range_of_product(const std::vector<std::uint32_t>& factors, const Least* least) const;
    bool invariant(const Affine& form) const;
    void set_last(const Affine& counter, ir::Id loop, const Affine& begin, Wide by);
    Affine of_loop(ir::Id id);
    Affine opaque(ir::Id id);
    Affine atom(bool invariant, Interval range, const std::string& key = {});
    Interval opaque_range(ir::Id id);
    /// Keeps a sum of a dtype only if it cannot have wrapped in it.
    Affine unwrapped(ir::Id id, Affine sum);
    std::optional<Wide> farthest(ir::Id end, const Affine& begin, bool upwards);
    std::optional<std::string> invariant_key(ir::Id id);
    std::string key(const Affine& form) const;

    const ir::Kernel& kernel_;
    ir::Id loop_;
    std::vector<ir::Id> body_;
    std::vector<std::uint32_t> order_;          // per node: its place in body_, none outside
    std::vector<bool> stored_, own_, written_;  // per parameter, per slot
    std::map<ir::Id, ir::Id> value_of_;         // per read: the value of the write that it sees
    std::vector<Atom> atoms_;
    std::map<std::string, std::uint32_t> known_;  // invariant atoms by structure
    std::map<ir::Id, Affine> forms_;
    std::optional<Affine> trip_;
    int depth_ = 0;  // of form() in itself
};

}  // namespace kiln::codegen
