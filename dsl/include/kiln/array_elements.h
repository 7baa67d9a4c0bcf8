// Whole arrays as values in loop kernels: functions that pick, order and place elements. As of
// kiln/array_value.h, and with the meaning that NumPy gives to their names; what they give is in an array
// of its own, which the kernel makes where they are called.
#pragma once
#include <kiln/array_value.h>

namespace kiln {

/// 0, 1, ..., stop - 1, as i64. Errors: type (no integer), shape (a negative number, when the kernel
/// runs).
Value arange(Operand stop);

/// The elements at `indices`, integers of any shape, along an axis, whose place their axes take; or
/// (std::nullopt) of the elements in C order. Negative indices count from the end; what lies outside is
/// found in checked mode. Errors: type (indices that are no integers), shape (no such axis, more than 8
/// dimensions).
Value take(Operand a, Operand indices, std::optional<int> axis = {});

/// The elements where `mask`, a bool value of the same shape, is true, in C order. Errors: type (a mask
/// that is not bool), shape (ranks that differ; when the kernel runs, extents that differ).
Value compress(Operand mask, Operand a);

/// Every element `count` times along an axis, or (std::nullopt) of the elements in C order. Errors: shape
/// (no such axis; a negative count, when the kernel runs), type.
Value repeat(Operand a, Operand count, std::optional<int> axis = {});

/// The values, of one shape, along an axis of their own. Errors: as of concatenate.
Value stack(std::initializer_list<Operand> parts, int axis = 0);

/// The position of the least, greatest element along an axis, or (std::nullopt) among all in C order, as
/// i64: NaN wins, and of equal ones the first. Errors: shape (no such axis; of no elements, when the
/// kernel runs), type (complex numbers).
Value argmin(Operand a, std::optional<int> axis = {});
Value argmax(Operand a, std::optional<int> axis = {});

/// The elements along an axis in ascending order, NaN last. Errors: shape (no such axis), type (complex
/// numbers).
Value sort(Operand a, int axis = -1);

/// How many elements are not 0, as i64. Errors: as of sum.
Value count_nonzero(Operand a, const FoldOptions& options = {});

}  // namespace kiln
