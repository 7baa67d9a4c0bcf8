#include "jit/call/operand.h"

#include "runtime/device/at_line.h"

#include <optional>

#include <fmt/format.h>

namespace kiln::engine {

bool OperandView::is_contiguous() const {
    std::int64_t expected = item();
    for (int d = rank; d-- > 0;) {
        if (extents[d] == 1) continue;
        if (extents[d] == 0) return true;
        if (strides[d] != expected) return false;
        expected *= extents[d];
    }
    return true;
}

std::pair<const std::byte*, const std::byte*> OperandView::byte_extent() const {
    const std::byte *low = data, *high = data;
    for (int d = 0; d < rank; ++d) {
        if (extents[d] == 0) return {data, data};
        (strides[d] < 0 ? low : high) += strides[d] * (extents[d] - 1);
    }
    return {low, high + item()};
}

bool OperandView::same_elements(const OperandView& other) const {
    if (data != other.data || dtype != other.dtype || rank != other.rank) return false;
    for (int d = 0; d < rank; ++d) {
        if (extents[d] != other.extents[d]) return false;
        if (extents[d] != 1 && strides[d] != other.strides[d]) return false;
    }
    return true;
}

Array OperandView::handle() const {
    if (array != nullptr) return *array;
    const auto axes = static_cast<std::size_t>(rank);
    return Array::from_memory(data, dtype, Shape(std::span(extents, axes)),
                              Shape(std::span(strides, axes)), {}, !read_only);
}

void throw_on_device(const Array& array, const Location& where) {
    device::at_line(where, [&] { array.data(); });
    __builtin_unreachable();
}

bool runs_on_device(const std::string& kernel, std::span<const OperandView> operands,
                    const std::function<std::string(std::size_t)>& what, const Location& where) {
    std::optional<std::size_t> here, there;
    for (std::size_t i = 0; i < operands.size(); ++i) {
        if (!operands[i].place().is_host())
            there = there.value_or(i);
        else if (!operands[i].scalar && operands[i].rank > 0)
            here = here.value_or(i);
    }
    if (there && here)
        throw Error(ErrorKind::usage,
                    fmt::format("{} of {} is on {}, {} on the host", what(*there), kernel,
                                to_string(operands[*there].place()), what(*here)),
                    where,
                    "a call runs where its arrays are: .to(cuda()) or .to_host() copies one");
    return there.has_value();
}

bool may_overlap(const OperandView& a, const OperandView& b) {
    const auto [a_low, a_high] = a.byte_extent();
    const auto [b_low, b_high] = b.byte_extent();
    return a_low < b_high && b_low < a_high;
}

}  // namespace kiln::engine

namespace kiln::detail {

void CallAccess::view_other(const Arg& arg, engine::OperandView& view, Row& row) {
    if (arg.kind_ == Arg::Kind::scalar) {
        auto* data = const_cast<std::byte*>(arg.scalar_.bytes.data());
        view = {data, nullptr,          nullptr, nullptr, 0, arg.scalar_.dtype,
                true, arg.scalar_.weak, true};
        return;
    }
    const SpanData& s = arg.span_;
    row = {s.size, static_cast<std::int64_t>(size_of(s.dtype))};
    view = {s.data, &row.extent, &row.stride, nullptr, 1, s.dtype, false, false, s.read_only};
}

Array handle_of(const Arg& arg, const Location& where) {
    engine::OperandView view;
    CallAccess::Row row;
    CallAccess::view(arg, view, row, where);
    return view.handle();
}

Array CallAccess::other_handle(const OutArg& out) {
    engine::OperandView view;
    Row row;
    view_of_any_place(out, view, row);
    return view.handle();
}

}  // namespace kiln::detail
