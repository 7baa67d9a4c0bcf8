#include <kiln/memory.h>
#include <kiln/npy.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <complex>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "tests/catch.h"
#include "tests/runtime/check_error.h"
#include "tests/scratch_folder.h"

using namespace kiln;
using namespace std::string_literals;

namespace {

/// A folder of its own for each test, removed at its end.
class Folder {
  public:
    std::string file(const std::string& name) const { return (scratch_.path / name).string(); }
    std::string write(const std::string& name, const std::string& bytes) const {
        std::ofstream(file(name), std::ios::binary) << bytes;
        return file(name);
    }
    std::size_t file_count() const {
        return static_cast<std::size_t>(
            std::distance(std::filesystem::directory_iterator(scratch_.path), {}));
    }

  private:
    test::ScratchFolder scratch_;
};

std::string read(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
}

/// Magic, version, header length in `length_bytes` bytes, the header.
std::string header(const std::string& dict, char major = 1, std::size_t length_bytes = 2) {
    std::string bytes = "\x93NUMPY"s + major + '\0';
    for (std::size_t k = 0; k < length_bytes; ++k) {
        bytes += static_cast<char>(dict.size() >> (8 * k) & 0xff);
    }
    return bytes + dict;
}

// Files as numpy.save of NumPy 2.4 wrote them.
const std::string numpy_f4 =
    "\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"s +
    std::string(58, ' ') +
    "\n\x00\x00\xc0?\x00\x00\x00\xc0\x00\x00P@\x00\x00\x80@\x00\x00\xa0@\x00\x00\xc0@"s;
const std::string numpy_i2_fortran =
    "\x93NUMPY\x01\x00v\x00{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3), }"s +
    std::string(59, ' ') + "\n\x01\x00\x04\x00\x02\x00\x05\x00\x03\x00\x06\x00"s;
const std::string numpy_big_f4 =
    "\x93NUMPY\x01\x00v\x00{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }"s +
    std::string(60, ' ') + "\n?\x80\x00\x00@\x00\x00\x00"s;
const std::string numpy_big_c8 =
    "\x93NUMPY\x01\x00v\x00{'descr': '>c8', 'fortran_order': False, 'shape': (1,), }"s +
    std::string(60, ' ') + "\n?\x80\x00\x00@\x00\x00\x00"s;
const std::string numpy_b1 =
    "\x93NUMPY\x01\x00v\x00{'descr': '|b1', 'fortran_order': False, 'shape': (2,), }"s +
    std::string(60, ' ') + "\n\x01\x00"s;
const std::string numpy_scalar =
    "\x93NUMPY\x01\x00v\x00{'descr': '<i8', 'fortran_order': False, 'shape': (), }"s +
    std::string(62, ' ') + "\n\x07\x00\x00\x00\x00\x00\x00\x00"s;
const std::string numpy_empty =
    "\x93NUMPY\x01\x00v\x00{'descr': '|u1', 'fortran_order': False, 'shape': (0, 3), }"s +
    std::string(58, ' ') + "\n"s;
const std::string numpy_v2 =
    "\x93NUMPY\x02\x00t\x00\x00\x00{'descr': '<f2', 'fortran_order': False, 'shape': (1,), }"s +
    std::string(58, ' ') + "\n\x00<"s;
const std::string numpy_v3 =
    "\x93NUMPY\x03\x00t\x00\x00\x00{'descr': '<f2', 'fortran_order': False, 'shape': (1,), }"s +
    std::string(58, ' ') + "\n\x00<"s;
const std::string numpy_struct =
    "\x93NUMPY\x01\x00v\x00{'descr': [('x', '|S1'), ('y', '<i4')], 'fortran_order': False, 'shape': (1,), }"s +
    std::string(37, ' ') + "\na\x01\x00\x00\x00"s;
const std::string numpy_object =
    "\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"s +
    std::string(61, ' ') + "\n\x80\x04\x95"s;
const std::string numpy_date =
    "\x93NUMPY\x01\x00v\x00{'descr': '<M8[D]', 'fortran_order': False, 'shape': (1,), }"s +
    std::string(57, ' ') + "\nVG\x00\x00\x00\x00\x00\x00"s;

}  // namespace

TEST_CASE("`.npy` v1-v3 load", "[runtime][npy]") {
    const Folder folder;
    const Array a = load_npy(folder.write("a.npy", numpy_f4));
    CHECK(a.dtype() == DType::f32);
    CHECK(a.shape() == Shape{2, 3});
    const float expected[2][3] = {{1.5F, -2, 3.25F}, {4, 5, 6}};
    for (int i = 0; i < 2; ++i) {
        for (int j = 0; j < 3; ++j) CHECK(a.at<float>({i, j}) == expected[i][j]);
    }
    for (const std::string& bytes : {numpy_v2, numpy_v3}) {
        const Array half = load_npy(folder.write("half.npy", bytes));
        CHECK(half.dtype() == DType::f16);
        CHECK(half.shape() == Shape{1});
        CHECK(half.at<float16>({0}) == float16(1.0F));
    }
    const Array scalar = load_npy(folder.write("scalar.npy", numpy_scalar));
    CHECK(scalar.rank() == 0);
    CHECK(scalar.item<std::int64_t>() == 7);
    const Array none = load_npy(folder.write("none.npy", numpy_empty));
    CHECK(none.shape() == Shape{0, 3});
    const Array flags = load_npy(folder.write("flags.npy", numpy_b1));
    CHECK(flags.at<bool>({0}));
    CHECK_FALSE(flags.at<bool>({1}));
}

TEST_CASE("`.npy` Fortran order", "[runtime][npy]") {
    const Folder folder;
    const std::string path = folder.write("f.npy", numpy_i2_fortran);
    for (const Array& a : {load_npy(path), map_npy(path)}) {
        CHECK(a.shape() == Shape{2, 3});
        CHECK(a.is_fortran());
        for (int i = 0; i < 2; ++i) {
            for (int j = 0; j < 3; ++j) CHECK(a.at<const std::int16_t>({i, j}) == 1 + 3 * i + j);
        }
    }
}

TEST_CASE("big-endian data are converted on load and refused by map", "[runtime][npy]") {
    const Folder folder;
    const std::string path = folder.write("big.npy", numpy_big_f4);
    const Array a = load_npy(path);
    CHECK(a.at<float>({0}) == 1.0F);
    CHECK(a.at<float>({1}) == 2.0F);
    const Array c = load_npy(folder.write("c.npy", numpy_big_c8));
    CHECK(c.at<std::complex<float>>({0}) == std::complex<float>(1, 2));
    KILN_CHECK_ERROR(
        map_npy(path), io,
        "cannot map " + path + ": big-endian data cannot be mapped; load_npy converts them");
}

TEST_CASE("save writes the very bytes that NumPy writes", "[runtime][npy]") {
    const Folder folder;
    const std::string path = folder.file("a.npy");
    save_npy(path, Array::of({{1.5F, -2.0F, 3.25F}, {4.0F, 5.0F, 6.0F}}));
    CHECK(read(path) == numpy_f4);
    const Array i2 = arange(1, 7, 1, i16).reshape({2, 3});
    save_npy(path, i2, true);
    CHECK(read(path) == numpy_i2_fortran);
    save_npy(path, i2.copy(Order::fortran), true);
    CHECK(read(path) == numpy_i2_fortran);
    save_npy(path, Array::of({true, false}));
    CHECK(read(path) == numpy_b1);
    save_npy(path, full({}, std::int64_t(7)));
    CHECK(read(path) == numpy_scalar);
    save_npy(path, zeros({0, 3}, u8));
    CHECK(read(path) == numpy_empty);
    CHECK(folder.file_count() == 1);
}

TEST_CASE("`.npy` save, load and memory-map: C and Fortran order, all dtypes", "[runtime][npy]") {
    const Folder folder;
    for (std::size_t k = 0; k < dtype_count; ++k) {
        const auto dtype = static_cast<DType>(k);
        CAPTURE(name(dtype));
        const std::string path = folder.file(std::string(name(dtype)) + ".npy");
        const Array source = arange(24, i32).reshape({2, 3, 4}).astype(dtype);
        if (dtype == DType::bf16) {
            KILN_CHECK_ERROR(save_npy(path, source), io,
                             "cannot save " + path + ": NumPy has no dtype for bf16");
            continue;
        }
        for (const bool fortran : {false, true}) {
            // Neither order of memory needs to be the file's.
            for (const Array& layout :
                 {source, source.transpose().copy().transpose(), source.flip().copy().flip()}) {
                save_npy(path, layout, fortran);
                for (const Array& back : {load_npy(path), map_npy(path)}) {
                    CHECK(back.dtype() == dtype);
                    REQUIRE(back.shape() == source.shape());
                    CHECK((fortran ? back.is_fortran() : back.is_contiguous()));
                    CHECK(reinterpret_cast<std::uintptr_t>(back.data()) % 64 == 0);
                    CHECK(to_string(back) == to_string(source));
                }
            }
        }
    }
}

TEST_CASE("modes of map_npy", "[runtime][npy]") {
    const Folder folder;
    const std::string path = folder.file("a.npy");
    save_npy(path, arange(5));
    const Array reader = map_npy(path);
    CHECK(reader.read_only());
    KILN_CHECK_ERROR(reader.fill(1), usage, "the array is read-only");
    {
        const Array own = map_npy(path, MapMode::copy_on_write);
        own.at<std::int64_t>({2}) = 100;
        CHECK(reader.at<const std::int64_t>({2}) == 2);
        CHECK(load_npy(path).at<std::int64_t>({2}) == 2);
    }
    {
        const Array shared = map_npy(path, MapMode::read_write).slice(0, {2});
        shared.at<std::int64_t>({0}) = 100;  // through a view that outlives the first handle
        CHECK(reader.at<const std::int64_t>({2}) == 100);
    }
    CHECK(load_npy(path).at<std::int64_t>({2}) == 100);
    CHECK(map_npy(folder.write("none.npy", numpy_empty)).size() == 0);
}

TEST_CASE(
    "a truncated, oversized-header or object-dtype file is an io error that names the file and the "
    "reason",
    "[runtime][npy]") {
    const Folder folder;
    const std::string path = folder.file("bad.npy");
    const auto check = [&](const std::string& bytes, const std::string& reason) {
        folder.write("bad.npy", bytes);
        CAPTURE(reason);
        KILN_CHECK_ERROR(load_npy(path), io, "cannot load " + path + ": " + reason);
        KILN_CHECK_ERROR(map_npy(path), io, "cannot map " + path + ": " + reason);
    };
    check(numpy_f4.substr(0, 151), "truncated data: 24 bytes expected, 23 present");
    check(numpy_f4.substr(0, 128), "truncated data: 24 bytes expected, 0 present");
    check(numpy_f4.substr(0, 100),
          "the header length 118 goes beyond the end of the file (100 bytes)");
    check(numpy_f4.substr(0, 9), "truncated header");
    check(numpy_v2.substr(0, 11), "truncated header");
    check(numpy_f4.substr(0, 5), "it does not begin with the .npy magic");
    check("", "it does not begin with the .npy magic");
    check("PK\x03\x04 this is a zip file", "it does not begin with the .npy magic");
    check(numpy_f4 + "x", "1 bytes after the end of the data");
    check("\x93NUMPY\x04\x00v\x00\x00\x00"s + std::string(200, ' '), "unknown format version 4.0");
    check("\x93NUMPY\x01\x01v\x00\x00\x00"s + std::string(200, ' '), "unknown format version 1.1");
    check("\x93NUMPY\x02\x00\xff\xff\xff\xff{}"s,
          "the header length 4294967295 goes beyond the end of the file (14 bytes)");
    check(header(std::string(2'000'000, ' '), 2, 4),
          "the header of 2000000 bytes is over the limit of 1048576");
    check(numpy_object, "object dtype '|O' is not supported");
    check(numpy_struct, "structured dtypes are not supported");
    check(numpy_date, "dtype '<M8[D]' is not supported");
}

TEST_CASE("hostile headers are errors with the reason", "[runtime][npy]") {
    const Folder folder;
    const std::string path = folder.file("bad.npy");
    const auto check = [&](const std::string& dict, const std::string& reason) {
        folder.write("bad.npy", header(dict));
        CAPTURE(dict);
        KILN_CHECK_ERROR(load_npy(path), io, "cannot load " + path + ": " + reason);
    };
    const std::string rest = ", 'fortran_order': False, 'shape': (2,)}";
    check("{'descr': '<f16'" + rest, "dtype '<f16' is not supported");
    check("{'descr': '<'" + rest, "dtype '<' is not supported");
    check("{'descr': ''" + rest, "dtype '' is not supported");
    check("{'descr': '<U2'" + rest, "dtype '<U2' is not supported");
    check("", "malformed header at character 0: expected '{'");
    check("{", "malformed header at character 1: expected a string");
    check("{}", "the header lacks the key 'descr'");
    check("{'descr': '<f4'}", "the header lacks the key 'fortran_order'");
    check("{'descr': '<f4', 'fortran_order': True}", "the header lacks the key 'shape'");
    check("{'descr': '<f4' 'shape': (2,)}", "malformed header at character 16: expected '}'");
    check("{'descr' '<f4'}", "malformed header at character 9: expected ':'");
    check("{'descr': '<f4, ", "malformed header at character 10: unterminated string");
    check("{'descr': '<f4', 'descr': '<f4'}",
          "malformed header at character 25: unexpected key 'descr'");
    check("{'evil': 1}", "malformed header at character 8: unexpected key 'evil'");
    check("{'descr': '<f4', 'fortran_order': 0",
          "malformed header at character 34: expected True or False");
    const std::string start = "{'descr': '<f4', 'fortran_order': False, 'shape': ";
    check(start + "(2,)} x", "malformed header at character 56: text after the dictionary");
    check(start + "(2)}", "malformed header at character 53: the shape is no tuple");
    check(start + "2}", "malformed header at character 50: expected '('");
    check(start + "(2 3)}", "malformed header at character 53: expected ',' or ')'");
    check(start + "(-2,)}", "malformed header at character 51: expected an extent");
    check(start + "(2.5,)}", "malformed header at character 52: expected ',' or ')'");
    check(start + "(a,)}", "malformed header at character 51: expected an extent");
    check(start + "(2,", "malformed header at character 53: expected an extent");
    check(start + "(99999999999999999999,)}",
          "malformed header at character 51: extent over 2^63 - 1");
    check(start + "(1,1,1,1,1,1,1,1,1)}", "its rank is over the limit of 8 axes");
    check(start + "(4611686018427387904, 4)}",
          "shape (4611686018427387904,4) takes more than 2^63 - 1 bytes");
    check(start + "(2305843009213693952,)}",
          "shape (2305843009213693952,) takes more than 2^63 - 1 bytes");
    check(start + "(0, 4611686018427387904, 4)}",
          "shape (0,4611686018427387904,4) takes more than 2^63 - 1 bytes");
    check(start + "(1000000000000,)}", "truncated data: 4000000000000 bytes expected, 0 present");
}

TEST_CASE("headers may be written in other ways that Python allows", "[runtime][npy]") {
    const Folder folder;
    for (const std::string dict :
         {"{\"shape\":(2,),\"fortran_order\":False,\"descr\":\"<i2\"}",
          "  { 'descr' : '=i2' , 'shape' : ( 2 , ) , 'fortran_order' : False , }  \n",
          "{'fortran_order': False, 'shape': (1, 2,), 'descr': '|i2'}"}) {
        const Array a =
            load_npy(folder.write("a.npy", header(dict) + std::string("\x05\x00\x06\x00", 4)));
        CHECK(a.size() == 2);
        CHECK(a.reshape({2}).at<std::int16_t>({1}) == 6);
    }
}

TEST_CASE("bools in a file are any bytes", "[runtime][npy]") {
    const Folder folder;
    const std::string dict = "{'descr': '|b1', 'fortran_order': False, 'shape': (3,)}";
    const Array a = load_npy(folder.write("b.npy", header(dict) + std::string("\x00\x02\xff", 3)));
    const auto* const bytes = reinterpret_cast<const unsigned char*>(a.data());
    CHECK(bytes[0] == 0);
    CHECK(bytes[1] == 1);
    CHECK(bytes[2] == 1);
}

TEST_CASE("what is no regular file is refused, and nobody waits", "[runtime][npy]") {
    const Folder folder;
    const std::string fifo = folder.file("fifo");
    REQUIRE(mkfifo(fifo.c_str(), 0666) == 0);
    for (const std::string& path : {fifo, "/dev/zero"s, folder.file("")}) {
        KILN_CHECK_ERROR(load_npy(path), io, "cannot load " + path + ": not a regular file");
        KILN_CHECK_ERROR(map_npy(path), io, "cannot map " + path + ": not a regular file");
        KILN_CHECK_ERROR(map_npy(path, MapMode::read_write), io,
                         "cannot map " + path + ": not a regular file");
    }
    KILN_CHECK_ERROR(save_npy(fifo, zeros({2})), io,
                     "cannot save " + fifo + ": not a regular file");
    struct stat status{};
    CHECK((stat(fifo.c_str(), &status) == 0 && S_ISFIFO(status.st_mode)));
    // Files without a size, which show something when they are read.
    for (const std::string& path : {"/proc/self/status"s, "/proc/self/maps"s})
        KILN_CHECK_ERROR(load_npy(path), io,
                         "cannot load " + path + ": it does not begin with the .npy magic");
}

TEST_CASE("nothing is allocated for a header that claims more than there is", "[runtime][npy]") {
    const Folder folder;
    const std::string path = folder.write(
        "much.npy",
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776, 4)}") +
            std::string(64, '\0'));
    const std::size_t before = memory_stats().peak;
    KILN_CHECK_ERROR(
        load_npy(path), io,
        "cannot load " + path + ": truncated data: 35184372088832 bytes expected, 64 present");
    CHECK(memory_stats().peak == before);
}

TEST_CASE("files that cannot be opened or written", "[runtime][npy]") {
    const Folder folder;
    const std::string missing = folder.file("missing.npy");
    KILN_CHECK_ERROR(load_npy(missing), io,
                     "cannot load " + missing + ": No such file or directory");
    KILN_CHECK_ERROR(map_npy(missing), io, "cannot map " + missing + ": No such file or directory");
    const std::string nowhere = folder.file("no/such/folder.npy");
    KILN_CHECK_ERROR(save_npy(nowhere, zeros({2})), io,
                     "cannot save " + nowhere + ": No such file or directory");
    const std::string directory = folder.file("");
    KILN_CHECK_ERROR(load_npy(directory), io, "cannot load " + directory + ": not a regular file");
    // A target that cannot be replaced leaves no partial file behind.
    const std::string taken = folder.file("taken");
    std::filesystem::create_directory(taken);
    KILN_CHECK_ERROR(save_npy(taken, zeros({2})), io, "cannot save " + taken + ": Is a directory");
    CHECK(folder.file_count() == 1);
}
