#include <kiln/dlpack.h>

#include "runtime/dlpack_abi.h"

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include <fmt/format.h>

namespace kiln {
namespace {

using dlpack::Code;
using dlpack::Tensor;

Code code_of(DType dtype) {
    if (dtype == DType::bf16) return Code::bfloat;
    switch (kind_of(dtype)) {
        case Kind::boolean: return Code::boolean;
        case Kind::signed_integer: return Code::signed_integer;
        case Kind::unsigned_integer: return Code::unsigned_integer;
        case Kind::real: return Code::real;
        case Kind::complex: return Code::complex;
    }
    __builtin_unreachable();
}

dlpack::DataType data_type(DType dtype) {
    return {static_cast<std::uint8_t>(code_of(dtype)),
            static_cast<std::uint8_t>(8 * size_of(dtype)), 1};
}

std::optional<DType> dtype_of_tensor(dlpack::DataType type) {
    for (std::size_t i = 0; i < dtype_count; ++i) {
        const auto dtype = static_cast<DType>(i);
        const dlpack::DataType known = data_type(dtype);
        if (known.code == type.code && known.bits == type.bits && type.lanes == 1) return dtype;
    }
    return std::nullopt;
}

/// "code 7 of 8 bits".
std::string text(dlpack::DataType type) {
    std::string lanes = type.lanes == 1 ? "" : fmt::format(", {} lanes", type.lanes);
    return fmt::format("code {} of {} bits{}", type.code, type.bits, lanes);
}

bool is_on_host(dlpack::Device device) {
    return device.type == dlpack::cpu || device.type == dlpack::cuda_host ||
           device.type == dlpack::rocm_host || device.type == dlpack::cuda_managed;
}

Array array_over(const Tensor& tensor, Shared<void> owner, bool writeable, Location where) {
    const bool on_device = tensor.device.type == dlpack::cuda && tensor.device.id == 0;
    if (!is_on_host(tensor.device) && !on_device)
        throw Error(
            ErrorKind::device,
            fmt::format("the tensor is on device {} of type {} ({}), neither in the host's memory "
                        "nor on cuda:0",
                        tensor.device.id, tensor.device.type,
                        tensor.device.type == dlpack::cuda ? "CUDA" : "of DLPack"),
            where, "copy it to the host first");
    const auto dtype = dtype_of_tensor(tensor.dtype);
    if (!dtype)
        throw Error(
            ErrorKind::type,
            fmt::format("the tensor's elements are {}, which no dtype is", text(tensor.dtype)),
            where);
    if (tensor.rank < 0 || tensor.rank > max_rank)
        throw Error(
            ErrorKind::shape,
            fmt::format("the tensor has {} axes; arrays have up to {}", tensor.rank, max_rank),
            where);
    const auto rank = static_cast<std::size_t>(tensor.rank);
    const Shape shape(std::span<const std::int64_t>(tensor.shape, rank));
    const auto item = static_cast<std::int64_t>(size_of(*dtype));
    Shape strides = Array::c_strides(shape, size_of(*dtype), where);
    if (tensor.strides != nullptr)
        for (int d = 0; d < tensor.rank; ++d) {
            std::int64_t bytes = 0;
            if (__builtin_mul_overflow(tensor.strides[d], item, &bytes))
                throw Error(ErrorKind::shape,
                            fmt::format("the tensor's stride {} of axis {} is too large",
                                        tensor.strides[d], d),
                            where);
            strides[d] = bytes;
        }
    auto* const data = static_cast<std::byte*>(tensor.data);
    std::byte* const first = data == nullptr ? nullptr : data + tensor.byte_offset;
    if (on_device)
        return Array::from_device_memory(first, *dtype, shape, strides, std::move(owner), writeable,
                                         where);
    return Array::from_memory(first, *dtype, shape, strides, std::move(owner), writeable, where);
}

/// Takes the tensor over.
template <class Managed> Shared<void> owner_of(Managed* tensor, Location where) {
    if (tensor == nullptr) throw Error(ErrorKind::usage, "the tensor is null", where);
    constexpr auto release = [](Managed* t) {
        if (t->deleter != nullptr) t->deleter(t);
    };
    return std::unique_ptr<Managed, decltype(release)>(tensor);
}

/// A tensor, and the array that it is of.
template <class Managed> struct Exported {
    Managed managed{};
    Array array;
    std::array<std::int64_t, max_rank> shape{}, strides{};

    explicit Exported(const Array& a) : array(a) {
        const auto item = static_cast<std::int64_t>(a.item_size());
        for (int d = 0; d < a.rank(); ++d) {
            shape[static_cast<std::size_t>(d)] = a.extent(d);
            strides[static_cast<std::size_t>(d)] = a.stride(d) / item;
        }
        managed.dl_tensor = {a.address(),
                             {a.place().is_host() ? dlpack::cpu : dlpack::cuda, 0},
                             a.rank(),
                             data_type(a.dtype()),
                             shape.data(),
                             strides.data(),
                             0};
        managed.manager_ctx = this;
        managed.deleter = [](Managed* self) { delete static_cast<Exported*>(self->manager_ctx); };
    }
};

template <class Managed> Managed* exported(const Array& array, Location where) {
    const auto item = static_cast<std::int64_t>(array.item_size());
    for (int d = 0; d < array.rank(); ++d)
        if (array.extent(d) > 1 && array.stride(d) % item != 0)
            throw Error(ErrorKind::usage,
                        fmt::format("stride {} of axis {} is no multiple of the {} bytes of {}, as "
                                    "DLPack needs it",
                                    array.stride(d), d, item, name(array.dtype())),
                        where, "pass a copy()");
    return &(new Exported<Managed>(array))->managed;
}

}  // namespace

Array from_dlpack(DLManagedTensorVersioned* tensor, Location where) {
    Shared<void> owner = owner_of(tensor, where);
    if (tensor->version.major != dlpack::version.major)
        throw Error(
            ErrorKind::usage,
            fmt::format("the tensor is of version {}.{} of DLPack, not {}", tensor->version.major,
                        tensor->version.minor, dlpack::version.major),
            where);
    return array_over(tensor->dl_tensor, std::move(owner), (tensor->flags & dlpack::read_only) == 0,
                      where);
}

Array from_dlpack(DLManagedTensor* tensor, Location where) {
    Shared<void> owner = owner_of(tensor, where);
    return array_over(tensor->dl_tensor, std::move(owner), true, where);
}

DLManagedTensorVersioned* to_dlpack(const Array& array, Location where) {
    auto* const tensor = exported<DLManagedTensorVersioned>(array, where);
    tensor->version = dlpack::version;
    tensor->flags = array.read_only() ? dlpack::read_only : 0;
    return tensor;
}

DLManagedTensor* to_dlpack_unversioned(const Array& array, Location where) {
    if (array.read_only())
        throw Error(
            ErrorKind::usage,
            "a read-only array cannot be passed on without a version of DLPack, which could "
            "not say so",
            where, "use to_dlpack, or pass a copy()");
    return exported<DLManagedTensor>(array, where);
}

}  // namespace kiln
