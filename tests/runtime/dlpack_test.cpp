// DLPack: tensors in and out share their elements, and are given back once.
#include "runtime/dlpack_abi.h"
#include "tests/jit/support.h"

#include <kiln/dlpack.h>

#include <thread>

using namespace kiln;
using namespace kiln::test;

namespace {

/// A tensor of another library, which counts how often it is given back.
template <class Managed> struct Foreign {
    Managed managed{};
    std::vector<std::int64_t> shape, strides;
    int given_back = 0;

    Foreign(void* data, dlpack::DataType type, std::vector<std::int64_t> extents,
            std::vector<std::int64_t> steps = {})
        : shape(std::move(extents)), strides(std::move(steps)) {
        managed.dl_tensor = {data, {dlpack::cpu, 0}, static_cast<std::int32_t>(shape.size()),
                             type, shape.data(),     strides.empty() ? nullptr : strides.data(),
                             0};
        managed.manager_ctx = this;
        managed.deleter = [](Managed* self) {
            ++static_cast<Foreign*>(self->manager_ctx)->given_back;
        };
        if constexpr (requires { managed.version; }) managed.version = {1, 0};
    }
};
using Versioned = Foreign<DLManagedTensorVersioned>;
using Unversioned = Foreign<DLManagedTensor>;

constexpr dlpack::DataType f32_type{2, 32, 1};

}  // namespace

TEST_CASE("dlpack: a tensor becomes an array over its elements", "[runtime][dlpack]") {
    float data[] = {0, 1, 2, 3, 4, 5, 6};
    Versioned tensor(data, f32_type, {2, 3});
    {
        const Array a = from_dlpack(&tensor.managed);
        CHECK(a.dtype() == DType::f32);
        CHECK(a.shape() == Shape{2, 3});
        CHECK(a.strides() == Shape{12, 4});
        CHECK_FALSE(a.read_only());
        check_values(a, {0, 1, 2, 3, 4, 5});
        a.at<float>({1, 2}) = 50;
        CHECK(data[5] == 50);
        const Array view = a(1);
        CHECK(tensor.given_back == 0);
    }
    CHECK(tensor.given_back == 1);

    Unversioned other(data, f32_type, {2, 2}, {-3, 1});
    other.managed.dl_tensor.byte_offset = 16;
    {
        const Array a = from_dlpack(&other.managed);
        check_values(a, {4, 50, 1, 2});
        CHECK(a.strides() == Shape{-12, 4});
    }
    CHECK(other.given_back == 1);

    Versioned scalar(data + 3, f32_type, {});
    scalar.managed.dl_tensor.shape = nullptr;
    CHECK(from_dlpack(&scalar.managed).item<float>() == 3);
    Versioned none(nullptr, f32_type, {0, 3});
    CHECK(from_dlpack(&none.managed).size() == 0);
    Versioned constant(data, f32_type, {2});
    constant.managed.flags = 1;
    constant.managed.version = {1, 9};  // a later minor version reads the same
    CHECK(from_dlpack(&constant.managed).read_only());
    Versioned forever(data, f32_type, {2});
    forever.managed.deleter = nullptr;
    CHECK(from_dlpack(&forever.managed).size() == 2);
    for (const Versioned* t : {&scalar, &none, &constant}) CHECK(t->given_back == 1);
}

TEST_CASE("dlpack: the last array may go on another thread", "[runtime][dlpack][threads]") {
    float data[] = {1, 2};
    Versioned tensor(data, f32_type, {2});
    Array a = from_dlpack(&tensor.managed);
    std::thread([mine = std::exchange(a, Array())] { CHECK(mine.at<float>(1) == 2); }).join();
    CHECK(tensor.given_back == 1);
}

TEST_CASE("dlpack: what cannot become an array is given back, and an error", "[runtime][dlpack]") {
    float data[4] = {};
    const auto refused = [&](auto&& change) {
        Versioned tensor(data, f32_type, {2, 2});
        change(tensor);
        const auto line = static_cast<std::uint32_t>(__LINE__ + 1);
        Error error = error_of([&] { from_dlpack(&tensor.managed); });
        CHECK(error.line() == line);
        CHECK(tensor.given_back == 1);
        return error;
    };
    Error e = refused([](Versioned& t) { t.managed.dl_tensor.device = {dlpack::cuda, 1}; });
    CHECK(e.kind() == ErrorKind::device);
    CHECK(e.message() ==
          "the tensor is on device 1 of type 2 (CUDA), neither in the host's memory nor on cuda:0");
    e = refused([](Versioned& t) { t.managed.dl_tensor.dtype = {7, 8, 1}; });
    CHECK(e.kind() == ErrorKind::type);
    CHECK(e.message() == "the tensor's elements are code 7 of 8 bits, which no dtype is");
    e = refused([](Versioned& t) { t.managed.dl_tensor.dtype = {2, 32, 4}; });
    CHECK(e.message() == "the tensor's elements are code 2 of 32 bits, 4 lanes, which no dtype is");
    e = refused([](Versioned& t) { t.managed.dl_tensor.dtype = {0, 4, 1}; });
    CHECK(e.kind() == ErrorKind::type);
    e = refused([](Versioned& t) {
        t.shape.assign(9, 1);
        t.managed.dl_tensor.shape = t.shape.data();
        t.managed.dl_tensor.rank = 9;
    });
    CHECK(e.kind() == ErrorKind::shape);
    CHECK(e.message() == "the tensor has 9 axes; arrays have up to 8");
    e = refused([](Versioned& t) { t.shape[0] = -1; });
    CHECK(e.kind() == ErrorKind::shape);
    e = refused([](Versioned& t) {
        t.strides = {std::int64_t(1) << 62, 1};
        t.managed.dl_tensor.strides = t.strides.data();
    });
    CHECK(e.kind() == ErrorKind::shape);
    CHECK(e.message() == "the tensor's stride 4611686018427387904 of axis 0 is too large");
    e = refused([](Versioned& t) { t.managed.version = {2, 0}; });
    CHECK(e.kind() == ErrorKind::usage);
    CHECK(e.message() == "the tensor is of version 2.0 of DLPack, not 1");
    CHECK(error_of([] { from_dlpack(static_cast<DLManagedTensor*>(nullptr)); }).message() ==
          "the tensor is null");
}

TEST_CASE("dlpack: an array becomes a tensor that keeps its elements", "[runtime][dlpack]") {
    DLManagedTensorVersioned* tensor = nullptr;
    {
        const Array a = Array::of({{1.0, 2.0, 3.0}, {4.0, 5.0, 6.0}});
        tensor = to_dlpack(a.transpose());
    }
    CHECK(tensor->version.major == 1);
    CHECK(tensor->flags == 0);
    const dlpack::Tensor& t = tensor->dl_tensor;
    CHECK(t.device.type == 1);
    CHECK(t.device.id == 0);
    REQUIRE(t.rank == 2);
    CHECK(t.dtype.code == 2);
    CHECK(t.dtype.bits == 64);
    CHECK(t.dtype.lanes == 1);
    CHECK(std::vector(t.shape, t.shape + 2) == std::vector<std::int64_t>{3, 2});
    CHECK(std::vector(t.strides, t.strides + 2) == std::vector<std::int64_t>{1, 3});
    CHECK(static_cast<const double*>(t.data)[1 * 1 + 1 * 3] == 5);
    {
        const Array back = from_dlpack(tensor);  // deletes it in the end
        check_values(back, {1, 4, 2, 5, 3, 6});
    }
    tensor = to_dlpack(ones({2}).as_read_only());
    CHECK(tensor->flags == 1);
    CHECK(from_dlpack(tensor).read_only());
    DLManagedTensor* const plain = to_dlpack_unversioned(ones({2, 2}));
    std::thread([=] { plain->deleter(plain); }).join();

    const Error constant = error_of([] { to_dlpack_unversioned(ones({2}).as_read_only()); });
    CHECK(constant.kind() == ErrorKind::usage);
    CHECK(constant.hint() == "use to_dlpack, or pass a copy()");
    double data[4] = {};
    const Array uneven = Array::over(data, {2}, Shape{12});
    CHECK(error_of([&] { to_dlpack(uneven); }).message() ==
          "stride 12 of axis 0 is no multiple of the 8 bytes of f64, as DLPack needs it");
}

TEST_CASE("dlpack: every dtype goes out and comes back", "[runtime][dlpack]") {
    const std::vector<std::pair<DType, dlpack::DataType>> all{
        {DType::bool_, {6, 8, 1}}, {DType::i8, {0, 8, 1}},    {DType::i16, {0, 16, 1}},
        {DType::i32, {0, 32, 1}},  {DType::i64, {0, 64, 1}},  {DType::u8, {1, 8, 1}},
        {DType::u16, {1, 16, 1}},  {DType::u32, {1, 32, 1}},  {DType::u64, {1, 64, 1}},
        {DType::f16, {2, 16, 1}},  {DType::bf16, {4, 16, 1}}, {DType::f32, {2, 32, 1}},
        {DType::f64, {2, 64, 1}},  {DType::c64, {5, 64, 1}},  {DType::c128, {5, 128, 1}}};
    CHECK(all.size() == dtype_count);
    for (const auto& [dtype, type] : all) {
        INFO(name(dtype));
        DLManagedTensorVersioned* const tensor = to_dlpack(zeros({3}, dtype));
        CHECK(tensor->dl_tensor.dtype.code == type.code);
        CHECK(tensor->dl_tensor.dtype.bits == type.bits);
        CHECK(from_dlpack(tensor).dtype() == dtype);
    }
}
