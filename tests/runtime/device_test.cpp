// Where there is no device: what asks for one is told what was looked for and where; all else works.
#include "tests/catch.h"
#include "tests/jit/cuda/variable.h"

#include <kiln/array.h>
#include <kiln/cuda.h>
#include <kiln/device.h>

using namespace kiln;

namespace {

template <class F> Error error_of(F&& f) {
    try {
        f();
    } catch (const Error& e) {
        return e;
    }
    return {ErrorKind::internal, "no error"};
}

}  // namespace

TEST_CASE("without a driver, arrays stay on the host, and an error says where it was looked for",
          "[runtime][device]") {
    const Array x = arange(4.0);
    {
        const test::Variable named("KILN_LIBCUDA", "/nowhere/libcuda.so");
        const Error e = error_of([&] { x.to(cuda()); });
        CHECK(e.kind() == ErrorKind::device);
        CHECK(e.line() == __LINE__ - 2);
        CHECK_THAT(e.message(),
                   Catch::Matchers::StartsWith(
                       "the CUDA driver was not found: KILN_LIBCUDA says /nowhere/libcuda.so"));
        CHECK(error_of([&] { const Stream stream; }).message() == e.message());
        CHECK(!cuda::is_available());
    }
    const test::Variable found_by_linker("KILN_LIBCUDA", nullptr);
    if (cuda::is_available()) {
        WARN("skipped: there is a device here");
        return;
    }
    const Error e = error_of([&] { x.to(cuda()); });
    CHECK(e.kind() == ErrorKind::device);
    CHECK(e.line() == __LINE__ - 2);
    const bool no_driver =
        e.message() ==
        "the CUDA driver was not found: looked for libcuda.so.1, libcuda.so where "
        "the linker looks";
    CHECK((no_driver || e.message() == "the CUDA driver shows no device"));
    CHECK(!e.hint().empty());
    CHECK(x.to(cpu()).data() == x.data());
    CHECK(x.to_host().at<double>({3}) == 3);
    CHECK(to_string(x.place()) == "the host");
    CHECK(device_memory_stats().total_bytes == 0);
    trim_device_memory();
}
