// ELF as the System V ABI's supplement for x86-64 (version 1.0, chapters 4 and 5) describes it.
#include "jit/compile/object_loader.h"

#include "codegen/math/careful.h"
#include "runtime/integers.h"
#include "runtime/process.h"

#include <kiln/error.h>
#include <kiln/float16.h>

#include <dlfcn.h>
#include <elf.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <unordered_map>
#include <vector>

#include <fmt/format.h>

namespace kiln::engine {
namespace {

template <class... T> [[noreturn]] void refuse(fmt::format_string<T...> what, T&&... values) {
    throw Error(ErrorKind::internal, "an object file cannot be loaded: " +
                                         fmt::format(what, std::forward<T>(values)...));
}

/// The bytes of a file, and no others.
class Bytes {
  public:
    explicit Bytes(std::span<const std::byte> all) : all_(all) {}

    std::span<const std::byte> part(std::uint64_t at, std::uint64_t size, const char* what) const {
        if (at > all_.size() || size > all_.size() - at)
            refuse("{} of {} bytes at {} in a file of {}", what, size, at, all_.size());
        return all_.subspan(at, size);
    }
    template <class T> std::vector<T> array(std::uint64_t at, std::uint64_t count,
                                            const char* what) const {
        if (count > all_.size() / sizeof(T))
            refuse("{} times {} in a file of {} bytes", count, what, all_.size());
        const auto bytes = part(at, count * sizeof(T), what);
        std::vector<T> values(count);
        if (count > 0) std::memcpy(values.data(), bytes.data(), bytes.size());
        return values;
    }
    /// Up to the next zero.
    std::string text(std::uint64_t at) const {
        const auto rest = part(std::min<std::uint64_t>(at, all_.size()),
                               all_.size() - std::min<std::uint64_t>(at, all_.size()), "a name");
        const auto end = std::ranges::find(rest, std::byte(0));
        if (end == rest.end()) refuse("a name without an end at {}", at);
        return {reinterpret_cast<const char*>(rest.data()),
                static_cast<std::size_t>(end - rest.begin())};
    }

  private:
    std::span<const std::byte> all_;
};

constexpr std::uint64_t not_placed = ~std::uint64_t(0);
constexpr std::uint64_t slot_bytes = 8;  ///< an address, or a jump by way of one

class Loader {
  public:
    Loader(std::span<const std::byte> object, CodeSpace& space)
        : file_(object), file_bytes_(object.size()), space_(space) {}

    LoadedCode load(std::string_view entry) {
        read_sections();
        read_symbols();
        find_externals();
        place();
        copy();
        relocate();
        const std::uint64_t start = address_of_function(entry);
        LoadedCode code;
        code.entry = reinterpret_cast<void*>(start);
        block_.fill(content_);
        code.memory = std::move(block_);
        return code;
    }

    /// The object with the addresses of sections that are loaded.
    std::vector<std::byte> placed(std::span<const std::byte> object) const {
        std::vector<std::byte> copy(object.begin(), object.end());
        const auto table = file_.array<Elf64_Ehdr>(0, 1, "header").front().e_shoff;
        for (std::size_t i = 0; i < sections_.size(); ++i) {
            if (placed_[i] == not_placed) continue;
            Elf64_Shdr section = sections_[i];
            section.sh_addr = base_ + placed_[i];
            std::memcpy(copy.data() + table + i * sizeof section, &section, sizeof section);
        }
        return copy;
    }

  private:
    /// A function elsewhere: where, and the places in this block of its address and of a jump to it.
    struct External {
        std::uint64_t address = 0, slot = 0, jump = 0;
    };

    void read_sections();
    void read_symbols();
    void find_externals();
    void place();
    void copy();
    void relocate();
    void relocate(const Elf64_Rela& relocation, std::size_t section);
    std::uint64_t value_of(const Elf64_Sym& symbol) const;
    std::uint64_t address_of_function(std::string_view entry) const;
    template <class F> void each_relocation(F&& f) const;

    bool is_loaded(std::size_t section) const;
    bool is_code(std::size_t section) const {
        return (sections_[section].sh_flags & SHF_EXECINSTR) != 0;
    }
    std::string name_of(const Elf64_Sym& symbol) const { return names_.text(symbol.st_name); }

    const Bytes file_;
    const std::uint64_t file_bytes_;
    CodeSpace& space_;
    std::vector<Elf64_Shdr> sections_;
    std::vector<std::string> section_names_;
    std::vector<Elf64_Sym> symbols_;
    Bytes names_{{}};                                        ///< of symbols
    std::unordered_map<std::uint32_t, External> externals_;  ///< by symbol
    std::vector<std::uint64_t> placed_;                      ///< from the content's begin
    std::uint64_t size_ = 0, alignment_ = CodeSpace::alignment;
    CodeSpace::Block block_;
    std::vector<std::byte> content_;  ///< of the block; what precedes `shift_` is nobody's
    std::uint64_t shift_ = 0, base_ = 0;
};

// Tables for unwinding have a type of their own, or are data by type and known by name.
bool Loader::is_loaded(std::size_t section) const {
    const Elf64_Shdr& s = sections_[section];
    return (s.sh_flags & SHF_ALLOC) != 0 && s.sh_size > 0 && s.sh_type != SHT_X86_64_UNWIND &&
           section_names_[section] != ".eh_frame";
}

void Loader::read_sections() {
    const Elf64_Ehdr header = file_.array<Elf64_Ehdr>(0, 1, "header").front();
    constexpr std::array<unsigned char, 7> expected{ELFMAG0,    ELFMAG1,     ELFMAG2,   ELFMAG3,
                                                    ELFCLASS64, ELFDATA2LSB, EV_CURRENT};
    if (!std::equal(expected.begin(), expected.end(), std::begin(header.e_ident)) ||
        header.e_type != ET_REL || header.e_machine != EM_X86_64 ||
        header.e_shentsize != sizeof(Elf64_Shdr))
        refuse("not a relocatable object of x86-64");
    sections_ = file_.array<Elf64_Shdr>(header.e_shoff, header.e_shnum, "section");
    if (header.e_shstrndx >= sections_.size()) refuse("names in section {}", header.e_shstrndx);
    const Elf64_Shdr& table = sections_[header.e_shstrndx];
    const Bytes names(file_.part(table.sh_offset, table.sh_size, "names"));
    for (const Elf64_Shdr& s : sections_) section_names_.push_back(names.text(s.sh_name));
    std::uint64_t all = 0;
    for (std::size_t i = 0; i < sections_.size(); ++i) {
        if (!is_loaded(i)) continue;
        const Elf64_Shdr& s = sections_[i];
        if (s.sh_type != SHT_PROGBITS || (s.sh_flags & (SHF_WRITE | SHF_TLS)) != 0)
            refuse("variables of its own, in {}", section_names_[i]);
        if (s.sh_addralign > 4096 || (s.sh_addralign & (s.sh_addralign - 1)) != 0)
            refuse("{} aligned to {}", section_names_[i], s.sh_addralign);
        all += file_.part(s.sh_offset, s.sh_size, "a section").size();
        if (all > file_bytes_) refuse("sections that overlap");
    }
}

void Loader::read_symbols() {
    const auto is_table = [](const Elf64_Shdr& s) { return s.sh_type == SHT_SYMTAB; };
    const auto table = std::ranges::find_if(sections_, is_table);
    if (table == sections_.end()) refuse("no symbols");
    if (std::find_if(table + 1, sections_.end(), is_table) != sections_.end())
        refuse("two tables of symbols");
    if (table->sh_link >= sections_.size()) refuse("names in section {}", table->sh_link);
    symbols_ =
        file_.array<Elf64_Sym>(table->sh_offset, table->sh_size / sizeof(Elf64_Sym), "symbol");
    const Elf64_Shdr& names = sections_[table->sh_link];
    names_ = Bytes(file_.part(names.sh_offset, names.sh_size, "names"));
}

/// f(relocation, section that it changes), of all sections that are loaded.
template <class F> void Loader::each_relocation(F&& f) const {
    for (const Elf64_Shdr& s : sections_) {
        if (s.sh_type != SHT_RELA && s.sh_type != SHT_REL) continue;
        if (s.sh_info >= sections_.size()) refuse("relocations of section {}", s.sh_info);
        if (!is_loaded(s.sh_info)) continue;
        if (s.sh_type == SHT_REL) refuse("relocations without addends");
        for (const auto& relocation :
             file_.array<Elf64_Rela>(s.sh_offset, s.sh_size / sizeof(Elf64_Rela), "relocation"))
            f(relocation, std::size_t(s.sh_info));
    }
}

void Loader::find_externals() {
    each_relocation([&](const Elf64_Rela& relocation, std::size_t) {
        const auto number = static_cast<std::uint32_t>(ELF64_R_SYM(relocation.r_info));
        if (number >= symbols_.size()) refuse("symbol {} of {}", number, symbols_.size());
        const Elf64_Sym& symbol = symbols_[number];
        const auto type = ELF64_R_TYPE(relocation.r_info);
        const bool by_slot = type == R_X86_64_GOTPCREL || type == R_X86_64_GOTPCRELX ||
                             type == R_X86_64_REX_GOTPCRELX;
        if ((symbol.st_shndx != SHN_UNDEF && !by_slot) || externals_.contains(number)) return;
        External external;
        if (symbol.st_shndx == SHN_UNDEF) {
            const std::string name = name_of(symbol);
            external.address = reinterpret_cast<std::uintptr_t>(find_function(name));
            if (external.address == 0) refuse("'{}' is not in this process", name);
        }
        externals_.emplace(number, external);
    });
}

/// Constants and addresses first, then code: the two never share a line of the cache.
void Loader::place() {
    placed_.assign(sections_.size(), not_placed);
    const auto place_all = [&](bool code) {
        for (std::size_t i = 0; i < sections_.size(); ++i) {
            if (!is_loaded(i) || is_code(i) != code) continue;
            const std::uint64_t to = std::max<std::uint64_t>(sections_[i].sh_addralign, 1);
            alignment_ = std::max(alignment_, to);
            placed_[i] = detail::round_up(size_, to);
            size_ = placed_[i] + sections_[i].sh_size;
        }
    };
    const auto place_slots = [&](std::uint64_t External::* where) {
        size_ = detail::round_up(size_, slot_bytes);
        for (auto& [number, external] : externals_) {
            external.*where = size_;
            size_ += slot_bytes;
        }
    };
    place_all(false);
    place_slots(&External::slot);
    size_ = detail::round_up(size_, CodeSpace::alignment);
    place_all(true);
    place_slots(&External::jump);
    block_ = space_.allocate(size_ + alignment_ - CodeSpace::alignment);
    const std::uint64_t low = reinterpret_cast<std::uintptr_t>(block_.address());
    base_ = detail::round_up(low, alignment_);
    shift_ = base_ - low;
}

void Loader::copy() {
    content_.assign(shift_ + size_, std::byte(0));
    for (std::size_t i = 0; i < sections_.size(); ++i) {
        if (placed_[i] == not_placed) continue;
        const Elf64_Shdr& s = sections_[i];
        std::ranges::copy(file_.part(s.sh_offset, s.sh_size, "a section"),
                          content_.begin() + static_cast<std::ptrdiff_t>(shift_ + placed_[i]));
    }
    for (const auto& [number, external] : externals_) {
        const std::uint64_t address =
            external.address != 0 ? external.address : value_of(symbols_[number]);
        std::byte* const begin = content_.data() + shift_;
        std::memcpy(begin + external.slot, &address, sizeof address);
        // jmp *slot(%rip), six bytes
        const auto distance =
            static_cast<std::int32_t>(static_cast<std::int64_t>(external.slot) -
                                      static_cast<std::int64_t>(external.jump) - 6);
        const std::array<std::byte, 2> jump{std::byte(0xff), std::byte(0x25)};
        std::memcpy(begin + external.jump, jump.data(), jump.size());
        std::memcpy(begin + external.jump + jump.size(), &distance, sizeof distance);
    }
}

/// Of a symbol that is in a section of this file.
std::uint64_t Loader::value_of(const Elf64_Sym& symbol) const {
    const std::size_t section = symbol.st_shndx;
    if (section >= sections_.size() || placed_[section] == not_placed)
        refuse("'{}' is in section {}, which is not loaded", name_of(symbol), section);
    if (symbol.st_value > sections_[section].sh_size)
        refuse("'{}' is outside of its section", name_of(symbol));
    return base_ + placed_[section] + symbol.st_value;
}

void Loader::relocate() {
    each_relocation(
        [&](const Elf64_Rela& relocation, std::size_t section) { relocate(relocation, section); });
}

void Loader::relocate(const Elf64_Rela& relocation, std::size_t section) {
    const auto number = static_cast<std::uint32_t>(ELF64_R_SYM(relocation.r_info));
    const Elf64_Sym& symbol = symbols_[number];
    const auto type = ELF64_R_TYPE(relocation.r_info);
    const bool wide = type == R_X86_64_64 || type == R_X86_64_PC64;
    const std::uint64_t bytes = wide ? 8 : 4, within = sections_[section].sh_size;
    if (relocation.r_offset > within || bytes > within - relocation.r_offset)
        refuse("a relocation at {} of {} bytes", relocation.r_offset, within);
    const std::uint64_t offset = placed_[section] + relocation.r_offset;
    const auto external = externals_.find(number);
    const bool is_external = symbol.st_shndx == SHN_UNDEF;
    std::uint64_t value = 0;
    bool relative = true;
    switch (type) {
        case R_X86_64_64:
        case R_X86_64_PC64:
            relative = type == R_X86_64_PC64;
            value = is_external ? external->second.address : value_of(symbol);
            break;
        case R_X86_64_PC32:
        case R_X86_64_PLT32:
            value = is_external ? base_ + external->second.jump : value_of(symbol);
            break;
        case R_X86_64_GOTPCREL:
        case R_X86_64_GOTPCRELX:
        case R_X86_64_REX_GOTPCRELX: value = base_ + external->second.slot; break;
        default: refuse("a relocation of kind {}", type);
    }
    value += static_cast<std::uint64_t>(relocation.r_addend);
    if (relative) value -= base_ + offset;
    std::byte* const at = content_.data() + shift_ + offset;
    if (wide) {
        std::memcpy(at, &value, sizeof value);
        return;
    }
    const auto distance = static_cast<std::int64_t>(value);
    if (distance != static_cast<std::int32_t>(distance))
        refuse("'{}' is {} bytes away", name_of(symbol), distance);
    const auto word = static_cast<std::int32_t>(distance);
    std::memcpy(at, &word, sizeof word);
}

std::uint64_t Loader::address_of_function(std::string_view entry) const {
    for (const Elf64_Sym& symbol : symbols_) {
        if (symbol.st_shndx == SHN_UNDEF || symbol.st_shndx >= sections_.size() ||
            ELF64_ST_TYPE(symbol.st_info) != STT_FUNC || name_of(symbol) != entry)
            continue;
        const std::uint64_t address = value_of(symbol);
        if (!is_code(symbol.st_shndx) || symbol.st_value >= sections_[symbol.st_shndx].sh_size)
            refuse("'{}' is no code", entry);
        return address;
    }
    refuse("no function '{}'", entry);
}

/// f32 to f16, in the lowest bits, for CPUs without an instruction for it. The compiler's library
/// has the same function, but that one raises flags in x87, where nobody puts them back.
float truncate_to_half(float x) { return std::bit_cast<float>(std::uint32_t(float16(x).bits)); }

/// SLEEF, opened when code first calls it; null where it is not to be had.
void* sleef() {
    struct Opened {
        void* handle = dlopen(KILN_SLEEF_LIBRARY, RTLD_LAZY | RTLD_LOCAL);
    };
    static constinit kiln::detail::Lazy<Opened> opened;
    const kiln::detail::Busy busy;
    return opened.get().handle;
}

}  // namespace

void* find_function(const std::string& symbol) {
    if (symbol == "__truncsfhf2") return reinterpret_cast<void*>(&truncate_to_half);
    if (auto* const careful = codegen::careful_function(symbol))
        return reinterpret_cast<void*>(careful);
    if (symbol.starts_with("Sleef_")) {
        void* const library = sleef();
        return library == nullptr ? nullptr : dlsym(library, symbol.c_str());
    }
    return dlsym(RTLD_DEFAULT, symbol.c_str());
}

LoadedCode load_object(std::span<const std::byte> object, std::string_view entry, CodeSpace& space,
                       std::vector<std::byte>* placed) {
    Loader loader(object, space);
    LoadedCode code = loader.load(entry);
    if (placed != nullptr) *placed = loader.placed(object);
    return code;
}

}  // namespace kiln::engine
