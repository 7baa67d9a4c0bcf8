#include "jit/call/overlap.h"

#include <algorithm>
#include <cstring>

namespace kiln::engine {

namespace {

/// Stores the elements for which the mask is true, or all without a mask.
void store_selected(const Array& to, const Array& from, const OperandView* mask, Location where) {
    if (mask == nullptr) {
        to.assign(from, Casting::unsafe, where);
        return;
    }
    const Array selected = mask->handle().broadcast_to(to.shape(), where);
    Shape index = Shape::filled(to.rank(), 0);
    for (std::int64_t i = 0; i < to.size(); ++i) {
        std::int64_t t = 0, f = 0, s = 0;
        for (int d = 0; d < to.rank(); ++d) {
            t += index[d] * to.stride(d);
            f += index[d] * from.stride(d);
            s += index[d] * selected.stride(d);
        }
        if (selected.data()[s] != std::byte(0)) {
            std::memcpy(to.data() + t, from.data() + f, to.item_size());
        }
        for (int d = to.rank(); d-- > 0 && ++index[d] == to.extent(d);) index[d] = 0;
    }
}

}  // namespace

void Separation::separate(std::span<OperandView> reads, bool masked, std::span<OperandView> writes,
                          Location where) {
    bool outputs_meet = false;
    for (std::size_t i = 0; i < writes.size(); ++i) {
        for (std::size_t j = 0; j < i; ++j) {
            outputs_meet = outputs_meet || may_overlap(writes[i], writes[j]);
        }
    }
    copies_.reserve(reads.size() + 1);  // views point into it
    for (OperandView& read : reads) {
        if (read.scalar) continue;
        const bool is_mask = masked && &read == &reads.back();
        const bool copy = std::ranges::any_of(writes, [&](const OperandView& write) {
            if (!may_overlap(read, write)) return false;
            // With detours the mask is read again when the results are stored.
            return !read.same_elements(write) || (is_mask && outputs_meet);
        });
        if (!copy) continue;
        copies_.push_back(read.handle().copy(Order::c, where));
        view_array(read, copies_.back(), read.weak);
    }
    if (!outputs_meet) return;
    if (masked) mask_ = reads.back();
    detours_.reserve(writes.size());
    for (OperandView& write : writes) {
        const Array target = write.handle();
        detours_.push_back({target, empty(target.shape(), target.dtype(), Order::c, where)});
        view_array(write, detours_.back().result, false);
    }
}

void Separation::store(Location where) const {
    for (const Detour& detour : detours_) {
        store_selected(detour.target, detour.result, mask_ ? &*mask_ : nullptr, where);
    }
}

}  // namespace kiln::engine
