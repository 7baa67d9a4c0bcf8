// Loading object files: those of kernels run; what is no such object is an Error, never a crash.
#include "jit/compile/object_loader.h"
#include "jit/compile/backend.h"
#include "tests/codegen/cpu_map.h"
#include "tests/codegen/kernels.h"
#include "tests/jit/support.h"

#include <elf.h>

#include <cmath>
#include <cstring>
#include <random>

using namespace kiln;
using namespace kiln::test;
using engine::CodeSpace;
using engine::load_object;

namespace {

constexpr const char* entry = "kiln_kernel";  // where no other name is asked for

/// y = lgamma(x) + 2.5: a call of another library, constants, a loop.
std::vector<std::byte> object_of_kernel(codegen::VectorIsa isa) {
    return compile_for(isa, test::kernel(test::map_text(
                                "x: in f64[1] unit, y: out f64[1] unit",
                                "    %0 = load f64 x[i0]\n    %1 = lgamma f64 %0\n"
                                "    %2 = add f64 %1, f64(2.5)\n    store y[i0], %2\n")))
        ->binary();
}

std::string refusal(std::span<const std::byte> object, const char* name = entry) {
    static CodeSpace space;
    const Error error = error_of([&] { load_object(object, name, space); });
    CHECK(error.kind() == ErrorKind::internal);
    constexpr std::string_view begin = "an object file cannot be loaded: ";
    REQUIRE(error.message().starts_with(begin));
    return error.message().substr(begin.size());
}

/// A field of a structure of the file.
template <class T> void set(std::vector<std::byte>& object, std::size_t at, T value) {
    std::memcpy(object.data() + at, &value, sizeof value);
}
template <class T> T get(const std::vector<std::byte>& object, std::size_t at) {
    T value;
    std::memcpy(&value, object.data() + at, sizeof value);
    return value;
}

}  // namespace

TEST_CASE("object loader: a kernel that calls another library", "[jit][object_loader]") {
    for (const codegen::VectorIsa isa : host_isas()) {
        CodeSpace space;
        const auto object = object_of_kernel(isa);
        engine::LoadedCode code = load_object(object, entry, space);
        engine::LoadedCode twin = load_object(object, entry, space);
        CHECK(code.entry != twin.entry);
        for (const std::size_t n : {0, 1, 3, 8, 37}) {
            std::vector<double> x(n), y(n);
            for (std::size_t i = 0; i < n; ++i) x[i] = 0.5 + 0.75 * static_cast<double>(i);
            engine::Fault fault;
            const abi::MapCall<2> call{{static_cast<std::int64_t>(n), 1, &fault},
                                       {{{reinterpret_cast<std::byte*>(x.data()), 8, 0},
                                         {reinterpret_cast<std::byte*>(y.data()), 8, 0}}}};
            call.run(reinterpret_cast<engine::MapFunction>(code.entry));
            for (std::size_t i = 0; i < n; ++i)
                CHECK(std::abs(y[i] - (std::lgamma(x[i]) + 2.5)) <= 1e-14 * (1 + std::abs(y[i])));
        }
        CHECK(space.use().bytes > 0);
        code = {};
        twin = {};
        CHECK(space.use().bytes == 0);
    }
}

TEST_CASE("object loader: functions are found by name", "[jit][object_loader]") {
    CHECK(engine::find_function("memcpy") != nullptr);
    CHECK(engine::find_function("Sleef_sind1_u10purec") != nullptr);
    CHECK(engine::find_function("Sleef_of_nobody") == nullptr);
    CHECK(engine::find_function("kiln_of_nobody") == nullptr);
    CHECK(engine::find_function("__truncsfhf2") != nullptr);
}

TEST_CASE("object loader: what is no object of a kernel", "[jit][object_loader]") {
    const auto whole = object_of_kernel(codegen::VectorIsa::sse2);
    CHECK(refusal({}) == "1 times header in a file of 0 bytes");
    CHECK(refusal(whole, "another") == "no function 'another'");
    CHECK(refusal(whole, "") == "no function ''");
    auto other = whole;
    const auto with = [&](std::size_t at, auto value) {
        other = whole;
        set(other, at, value);
        return refusal(other);
    };
    CHECK(with(0, char('E')) == "not a relocatable object of x86-64");
    CHECK(with(EI_CLASS, char(ELFCLASS32)) == "not a relocatable object of x86-64");
    CHECK(with(EI_DATA, char(ELFDATA2MSB)) == "not a relocatable object of x86-64");
    CHECK(with(offsetof(Elf64_Ehdr, e_type), Elf64_Half(ET_DYN)) ==
          "not a relocatable object of x86-64");
    CHECK(with(offsetof(Elf64_Ehdr, e_machine), Elf64_Half(EM_AARCH64)) ==
          "not a relocatable object of x86-64");
    CHECK(with(offsetof(Elf64_Ehdr, e_shstrndx), Elf64_Half(999)) == "names in section 999");

    // Sections, by what they are.
    const auto head = get<Elf64_Ehdr>(whole, 0);
    const auto place = [&](std::uint32_t type, std::uint64_t flags) {
        for (std::size_t i = 0; i < head.e_shnum; ++i) {
            const std::size_t at = head.e_shoff + i * sizeof(Elf64_Shdr);
            const auto s = get<Elf64_Shdr>(whole, at);
            if (s.sh_type == type && s.sh_flags == flags && s.sh_size > 0) return at;
        }
        FAIL("no section of type " << type);
        return std::size_t(0);
    };
    const std::size_t text = place(SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR),
                      symbols = place(SHT_SYMTAB, 0);
    CHECK(with(text + offsetof(Elf64_Shdr, sh_flags), Elf64_Xword(SHF_ALLOC | SHF_WRITE)) ==
          "variables of its own, in .text");
    CHECK(with(text + offsetof(Elf64_Shdr, sh_type), Elf64_Word(SHT_NOBITS)) ==
          "variables of its own, in .text");
    CHECK(with(text + offsetof(Elf64_Shdr, sh_addralign), Elf64_Xword(24)) ==
          ".text aligned to 24");
    CHECK(with(text + offsetof(Elf64_Shdr, sh_addralign), Elf64_Xword(1) << 40) ==
          ".text aligned to 1099511627776");
    CHECK(with(text + offsetof(Elf64_Shdr, sh_flags), Elf64_Xword(SHF_ALLOC)) ==
          "'kiln_kernel' is no code");
    CHECK(with(symbols + offsetof(Elf64_Shdr, sh_type), Elf64_Word(SHT_NOTE)) == "no symbols");
    CHECK(with(symbols + offsetof(Elf64_Shdr, sh_link), Elf64_Word(77)) == "names in section 77");

    // A relocation of the code: place, kind, symbol.
    std::size_t relocation = 0;
    for (std::size_t i = 0; i < head.e_shnum; ++i) {
        const auto s = get<Elf64_Shdr>(whole, head.e_shoff + i * sizeof(Elf64_Shdr));
        if (s.sh_type == SHT_RELA && head.e_shoff + s.sh_info * sizeof(Elf64_Shdr) == text)
            relocation = s.sh_offset;
    }
    REQUIRE(relocation != 0);
    const auto size = get<Elf64_Shdr>(whole, text).sh_size;
    CHECK(with(relocation + offsetof(Elf64_Rela, r_offset), Elf64_Addr(size - 3)) ==
          "a relocation at " + std::to_string(size - 3) + " of " + std::to_string(size) + " bytes");
    const auto info = get<Elf64_Rela>(whole, relocation).r_info;
    CHECK(with(relocation + offsetof(Elf64_Rela, r_info),
               Elf64_Xword(ELF64_R_INFO(ELF64_R_SYM(info), R_X86_64_TPOFF64))) ==
          "a relocation of kind 18");
    CHECK(with(relocation + offsetof(Elf64_Rela, r_info),
               Elf64_Xword(ELF64_R_INFO(60'000, R_X86_64_PC32)))
              .starts_with("symbol 60000 of "));
    CHECK(with(relocation + offsetof(Elf64_Rela, r_addend), Elf64_Sxword(1) << 40)
              .ends_with(" bytes away"));
}

TEST_CASE("object loader: objects cut short or changed anywhere load or are refused",
          "[jit][object_loader]") {
    const auto whole = object_of_kernel(codegen::VectorIsa::sse2);
    CodeSpace space;
    std::size_t loaded = 0, refused = 0;
    const auto try_one = [&](std::span<const std::byte> object) {
        try {
            load_object(object, entry, space);
            ++loaded;
        } catch (const Error& error) {
            ++refused;
            if (error.kind() != ErrorKind::internal) FAIL(error.what());
        }
    };
    // Exact allocations, so that checkers of memory see the byte behind the end.
    for (std::size_t n = 0; n < whole.size(); ++n)
        try_one(std::vector(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n)));
    CHECK(loaded == 0);  // the table of sections is the end of the file
    const unsigned seed = std::random_device()();
    INFO("seed " << seed);
    std::mt19937 random(seed);
    for (std::size_t i = 0; i < whole.size(); ++i) {
        auto other = whole;
        other[i] ^= std::byte(1U << random() % 8);
        try_one(other);
        other[i] = std::byte(random());
        try_one(other);
    }
    for (int i = 0; i < 3000; ++i) {
        auto other = whole;
        for (unsigned k = random() % 8 + 1; k-- > 0;)
            other[random() % whole.size()] = std::byte(random());
        const std::size_t at = random() % (whole.size() - 8) / 8 * 8;
        set(other, at, random() % 2 == 0 ? ~std::uint64_t(random() % 4) : random() % 4096);
        try_one(other);
    }
    CHECK(loaded > 0);
    CHECK(refused > whole.size());
    CHECK(space.use().bytes == 0);
}
