// What DLPack's structures are in memory, as version 1.1 of its specification lays them out:
// https://dmlc.github.io/dlpack/latest/c_api.html
#pragma once
#include <cstddef>
#include <cstdint>

namespace kiln::dlpack {

struct Version {
    std::uint32_t major, minor;
};
inline constexpr Version version{1, 1};

struct Device {
    std::int32_t type, id;
};
inline constexpr std::int32_t cpu = 1, cuda = 2, cuda_host = 3, rocm_host = 11, cuda_managed = 13;

enum class Code : std::uint8_t {
    signed_integer = 0,
    unsigned_integer = 1,
    real = 2,
    bfloat = 4,
    complex = 5,
    boolean = 6
};
struct DataType {
    std::uint8_t code, bits;
    std::uint16_t lanes;
};

struct Tensor {
    void* data;
    Device device;
    std::int32_t rank;
    DataType dtype;
    std::int64_t* shape;
    std::int64_t* strides;  ///< in elements; null: C order
    std::uint64_t byte_offset;
};
static_assert(sizeof(Tensor) == 48 && offsetof(Tensor, shape) == 24);

inline constexpr std::uint64_t read_only = 1;  ///< of flags

}  // namespace kiln::dlpack

// NOLINTBEGIN(readability-identifier-naming): names and places of the specification
struct DLManagedTensor {
    kiln::dlpack::Tensor dl_tensor;
    void* manager_ctx;
    void (*deleter)(DLManagedTensor*);
};
static_assert(sizeof(DLManagedTensor) == 64);

struct DLManagedTensorVersioned {
    kiln::dlpack::Version version;
    void* manager_ctx;
    void (*deleter)(DLManagedTensorVersioned*);
    std::uint64_t flags;
    kiln::dlpack::Tensor dl_tensor;
};
static_assert(sizeof(DLManagedTensorVersioned) == 80 &&
              offsetof(DLManagedTensorVersioned, dl_tensor) == 32);
// NOLINTEND(readability-identifier-naming)
