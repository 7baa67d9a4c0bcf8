#include "jit/compile/debugging.h"

#include "runtime/process.h"

#include <kiln/error.h>

#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string_view>

#include <fmt/format.h>

// GDB's JIT interface, as its manual describes it ("JIT Compilation Interface"): it sets a
// breakpoint in the function, and reads the list behind the descriptor when that is reached.
extern "C" {
struct jit_code_entry {
    jit_code_entry* next_entry;
    jit_code_entry* prev_entry;
    const char* symfile_addr;
    std::uint64_t symfile_size;
};
struct jit_descriptor {
    std::uint32_t version;
    std::uint32_t action_flag;
    jit_code_entry* relevant_entry;
    jit_code_entry* first_entry;
};
__attribute__((visibility("default"))) jit_descriptor __jit_debug_descriptor = {1, 0, nullptr,
                                                                                nullptr};
__attribute__((visibility("default"), noinline)) void __jit_debug_register_code() {
    __asm__ volatile("" : : : "memory");
}
}

namespace kiln::engine {
namespace {

bool is_set(const char* name) {
    const char* const value = std::getenv(name);
    return value != nullptr && std::string_view(value) == "1";
}

constexpr std::uint32_t register_code = 1, unregister_code = 2;

kiln::detail::Mutex& debugger_mutex() {
    static constinit kiln::detail::Lazy<kiln::detail::Mutex> mutex;
    return mutex.get();
}

}  // namespace

Debugging debugging() {
    static const Debugging mode = is_set("KILN_DEBUG")  ? Debugging::debugger
                                  : is_set("KILN_PERF") ? Debugging::profiler
                                                        : Debugging::off;
    return mode;
}

// ------------------------------------------------------------------------------ debuggers

struct DebuggerEntry::Known {
    std::vector<std::byte> object;
    jit_code_entry entry;
};

DebuggerEntry::DebuggerEntry(std::vector<std::byte> object)
    : known_(std::make_unique<Known>(Known{std::move(object), {}})) {
    const std::lock_guard lock(debugger_mutex());
    jit_descriptor& all = __jit_debug_descriptor;
    known_->entry = {all.first_entry, nullptr, reinterpret_cast<const char*>(known_->object.data()),
                     known_->object.size()};
    if (all.first_entry != nullptr) all.first_entry->prev_entry = &known_->entry;
    all.first_entry = all.relevant_entry = &known_->entry;
    all.action_flag = register_code;
    __jit_debug_register_code();
}

DebuggerEntry::~DebuggerEntry() {
    const std::lock_guard lock(debugger_mutex());
    jit_descriptor& all = __jit_debug_descriptor;
    const jit_code_entry& own = known_->entry;
    (own.prev_entry != nullptr ? own.prev_entry->next_entry : all.first_entry) = own.next_entry;
    if (own.next_entry != nullptr) own.next_entry->prev_entry = own.prev_entry;
    all.relevant_entry = &known_->entry;
    all.action_flag = unregister_code;
    __jit_debug_register_code();
    all.relevant_entry = nullptr;
}

// ------------------------------------------------------------------------------ profilers

namespace {

// The jitdump format, as tools/perf/Documentation/jitdump-specification.txt of Linux describes it,
// version 1.
enum class Record : std::uint32_t { load = 0, debug_info = 2 };

/// Bytes of a record, after its head.
class Body {
  public:
    template <class T> Body& add(T value) {
        bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
        return *this;
    }
    Body& add_text(const std::string& text) {
        bytes_.append(text.c_str(), text.size() + 1);
        return *this;
    }
    Body& add_bytes(const void* from, std::size_t size) {
        bytes_.append(static_cast<const char*>(from), size);
        return *this;
    }
    const std::string& bytes() const { return bytes_; }

  private:
    std::string bytes_;
};

std::uint64_t now() {
    std::timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000U +
           static_cast<std::uint64_t>(t.tv_nsec);
}

/// perf looks for the map of a process under this name alone (tools/perf/util/map.c and
/// Documentation/jit-interface.txt of Linux), so no setting names another folder.
constexpr std::string_view perf_map_name = P_tmpdir "/perf-{}.map";

/// The files of this process. Anyone may write to that folder: what stands there under the name of the map and
/// is a link, no plain file or another user's is not written to.
class ProfilerFiles {
  public:
    ProfilerFiles() {
        const char* const chosen = std::getenv("KILN_PERF_DIR");
        const std::string folder = chosen != nullptr && *chosen != '\0' ? chosen : ".";
        dump_ = open(fmt::format("{}/jit-{}.dump", folder, getpid()), O_RDWR, "w+",
                     "unset KILN_PERF, or set KILN_PERF_DIR");
        map_ = open(fmt::format(perf_map_name, getpid()), O_WRONLY | O_APPEND, "a",
                    "unset KILN_PERF, or remove the file");
        if (ftruncate(fileno(dump_), 0) != 0)
            throw Error(ErrorKind::io, fmt::format("the jitdump: {}", std::strerror(errno)));
        Body head;
        head.add(std::uint32_t(0x4A695444))
            .add(std::uint32_t(1))
            .add(std::uint32_t(40))
            .add(std::uint32_t(EM_X86_64))
            .add(std::uint32_t(0))
            .add(static_cast<std::uint32_t>(getpid()))
            .add(now())
            .add(std::uint64_t(0));
        write(head.bytes());
        // By this mapping perf finds the file.
        mmap(nullptr, static_cast<std::size_t>(sysconf(_SC_PAGESIZE)), PROT_READ | PROT_EXEC,
             MAP_PRIVATE, fileno(dump_), 0);
    }

    /// Not those of a child of fork, which has files of its own.
    bool of_this_process() const { return process_ == getpid(); }

    void add(const CodeFunction& f) {
        fmt::print(map_, "{:x} {:x} {}\n", f.address, f.size, f.name);
        std::fflush(map_);
        if (!f.lines.empty()) add_lines(f);
        Body load;
        load.add(static_cast<std::uint32_t>(getpid()))
            .add(static_cast<std::uint32_t>(syscall(SYS_gettid)))
            .add(f.address)
            .add(f.address)
            .add(f.size)
            .add(number_++)
            .add_text(f.name)
            .add_bytes(reinterpret_cast<const void*>(f.address), f.size);
        record(Record::load, load);
    }

  private:
    /// A file of this user's alone.
    static FILE* open(const std::string& path, int flags, const char* how, const char* hint) {
        const auto refuse = [&](const std::string& why) {
            throw Error(ErrorKind::io, fmt::format("{} cannot be written: {}", path, why), {},
                        hint);
        };
        const int file = ::open(path.c_str(), flags | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK,
                                S_IRUSR | S_IWUSR);
        if (file < 0) refuse(std::strerror(errno));
        struct stat found{};
        const bool own = fstat(file, &found) == 0 && S_ISREG(found.st_mode) &&
                         found.st_uid == geteuid() && found.st_nlink == 1;
        FILE* const opened = own ? fdopen(file, how) : nullptr;
        if (opened == nullptr) {
            close(file);
            refuse(own ? std::strerror(errno) : "it is there, and no plain file of this user's");
        }
        return opened;
    }
    void add_lines(const CodeFunction& f) {
        Body lines;
        lines.add(f.address).add(std::uint64_t(f.lines.size()));
        for (const CodeLine& line : f.lines)
            lines.add(f.address + line.offset)
                .add(line.line)
                .add(std::uint32_t(0))
                .add_text(line.file);
        record(Record::debug_info, lines);
    }
    void record(Record kind, const Body& body) {
        Body head;
        head.add(kind).add(static_cast<std::uint32_t>(16 + body.bytes().size())).add(now());
        write(head.bytes());
        write(body.bytes());
        std::fflush(dump_);
    }
    void write(const std::string& bytes) { std::fwrite(bytes.data(), 1, bytes.size(), dump_); }

    const pid_t process_ = getpid();
    FILE *dump_, *map_;
    std::uint64_t number_ = 0;
};

}  // namespace

void tell_profiler(std::span<const CodeFunction> functions) {
    static kiln::detail::Mutex mutex;
    const std::lock_guard lock(mutex);
    static ProfilerFiles* files = nullptr;  // kernels are compiled until the end
    if (files == nullptr || !files->of_this_process()) files = new ProfilerFiles;
    for (const CodeFunction& f : functions) files->add(f);
}

}  // namespace kiln::engine
