// The disk cache as a folder: whole entries or none, whoever writes, whatever lies there.
#include "jit/compile/disk_cache.h"
#include "jit/compile/cache.h"
#include "tests/codegen/kernels.h"
#include "tests/jit/support.h"
#include "tests/scratch_folder.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <thread>

using namespace kiln;
using namespace kiln::test;
using engine::DiskCache;
namespace fs = std::filesystem;

namespace {

std::vector<std::byte> bytes_of(const std::string& text) {
    const auto* first = reinterpret_cast<const std::byte*>(text.data());
    return {first, first + text.size()};
}
std::string read(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}
void write(const fs::path& path, const std::string& content) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}
std::vector<fs::path> files(const fs::path& folder) {
    std::vector<fs::path> all;
    for (const auto& entry : fs::directory_iterator(folder)) all.push_back(entry.path());
    return all;
}

/// A variable of the environment with another value, until the end of the scope.
struct Variable {
    Variable(const char* n, const char* value) : name(n) {
        if (const char* const text = std::getenv(n)) before = text;
        value == nullptr ? unsetenv(n) : setenv(n, value, 1);
    }
    ~Variable() { before ? setenv(name, before->c_str(), 1) : unsetenv(name); }
    Variable(const Variable&) = delete;
    Variable& operator=(const Variable&) = delete;
    const char* name;
    std::optional<std::string> before;
};

}  // namespace

TEST_CASE("disk cache: its entries, seen from outside", "[jit][disk_cache]") {
    const ScratchFolder scratch;
    const std::string place = scratch.path / "kiln";
    DiskCache cache({.folder = place});
    CHECK(cache.entries().empty());
    const std::vector<std::byte> object(100, std::byte{7});
    cache.insert("one", object);
    cache.insert("another", object);
    std::ofstream(place + "/damaged.code") << "kilncod1 and no more";
    std::ofstream(place + "/begun.part") << "x";
    std::ofstream(place + "/notes") << "of someone else";
    std::map<std::string, std::uint64_t> whole;
    std::size_t damaged = 0;
    for (const DiskCache::Entry& e : cache.entries()) {
        if (!e.is_whole) ++damaged;
        if (e.is_whole) whole[e.key] = e.bytes;
    }
    CHECK(damaged == 1);
    CHECK(whole.size() == 2);
    CHECK(whole["another"] == whole["one"] + 4);
    CHECK(cache.clear() == 3);
    CHECK(cache.entries().empty());
    CHECK(!cache.find("one"));
    CHECK(!std::filesystem::exists(place + "/begun.part"));
    CHECK(std::filesystem::exists(place + "/notes"));
}

TEST_CASE("disk cache: what was stored is found, by another one too", "[jit][disk_cache]") {
    const ScratchFolder folder;
    const std::string place = folder.path / "a" / "b";
    DiskCache cache({.folder = place});
    CHECK_FALSE(cache.find("key"));
    CHECK_FALSE(fs::exists(place));  // nobody has written
    cache.insert("key", bytes_of("object"));
    cache.insert("empty", {});
    CHECK(cache.find("key") == bytes_of("object"));
    CHECK(cache.find("empty") == bytes_of(""));
    CHECK_FALSE(cache.find("ke"));
    struct stat status{};
    REQUIRE(stat(place.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0700);

    DiskCache other({.folder = place});
    CHECK(other.find("key") == bytes_of("object"));
    other.insert("key", bytes_of("another object"));
    CHECK(cache.find("key") == bytes_of("another object"));
    CHECK(files(place).size() == 2);
    const DiskCacheInfo info = cache.info();
    CHECK(info.folder == place);
    CHECK(info.reads);
    CHECK(info.writes);
    CHECK(info.reason.empty());
    CHECK(info.hits == 3);
    CHECK(info.misses == 2);
    CHECK(info.stored == 2);
    CHECK(info.damaged == 0);
    CHECK(info.failed == 0);
    cache.refuse("key");
    CHECK_FALSE(other.find("key"));
    CHECK(cache.info().hits == 2);
    CHECK(cache.info().damaged == 1);
}

TEST_CASE("disk cache: an entry with a byte changed, missing or added is a miss, and replaced",
          "[jit][disk_cache]") {
    const ScratchFolder folder;
    DiskCache cache({.folder = folder.path});
    const auto object = bytes_of("some code, and more");
    cache.insert("the key", object);
    const fs::path path = files(folder.path).at(0);
    const std::string whole = read(path);
    std::uint64_t damaged = 0;
    const auto is_miss = [&](const std::string& content) {
        write(path, content);
        const bool miss = !cache.find("the key") && !fs::exists(path);
        ++damaged;
        return miss && cache.info().damaged == damaged;
    };
    for (std::size_t i = 0; i < whole.size(); ++i) {
        INFO("byte " << i);
        CHECK(is_miss(whole.substr(0, i)));
        for (unsigned bit = 0; bit < 8; ++bit) {
            std::string other = whole;
            other[i] = static_cast<char>(other[i] ^ 1 << bit);
            if (!is_miss(other)) FAIL("bit " << bit);
        }
    }
    CHECK(is_miss(whole + '\0'));
    CHECK(is_miss(whole + whole));
    CHECK(is_miss(std::string(whole.size(), '\0')));
    // What is stored under another key, at this one's place.
    cache.insert("other", object);
    const std::string foreign = read(files(folder.path).at(0));
    CHECK(is_miss(foreign));
    cache.insert("the key", object);
    CHECK(cache.find("the key") == object);
    CHECK(read(path) == whole);
}

TEST_CASE("disk cache: no links and no folders are entries", "[jit][disk_cache]") {
    const ScratchFolder folder;
    DiskCache cache({.folder = folder.path});
    cache.insert("key", bytes_of("object"));
    const fs::path path = files(folder.path).at(0), moved = folder.path / "elsewhere";
    fs::rename(path, moved);
    fs::create_symlink(moved, path);
    CHECK_FALSE(cache.find("key"));
    fs::remove(path);
    fs::create_directory(path);
    CHECK_FALSE(cache.find("key"));
    cache.insert("key", bytes_of("object"));
    CHECK(cache.info().failed == 1);
    CHECK(files(folder.path).size() == 2);  // no draft is left
}

TEST_CASE("disk cache: folders that others may write to are not used", "[jit][disk_cache]") {
    const ScratchFolder folder;
    const std::string place = folder.path / "open";
    fs::create_directory(place);
    for (const mode_t mode : {0770, 0707, 0777}) {
        REQUIRE(chmod(place.c_str(), mode) == 0);
        DiskCache cache({.folder = place});
        cache.insert("key", bytes_of("object"));
        CHECK_FALSE(cache.find("key"));
        CHECK(cache.info().reason == "others may write to " + place);
        CHECK_FALSE(cache.info().reads);
        CHECK(files(place).empty());
    }
    REQUIRE(chmod(place.c_str(), 0755) == 0);
    DiskCache cache({.folder = place});
    cache.insert("key", bytes_of("object"));
    CHECK(cache.find("key"));
    REQUIRE(chmod(place.c_str(), 0777) == 0);  // meanwhile
    cache.insert("another", bytes_of("object"));
    CHECK(cache.info().failed == 1);

    write(folder.path / "file", "");
    DiskCache none({.folder = folder.path / "file"});
    CHECK(none.info().reason == (folder.path / "file").string() + " is not a folder");
}

TEST_CASE("disk cache: read only", "[jit][disk_cache]") {
    const ScratchFolder folder;
    DiskCache({.folder = folder.path}).insert("key", bytes_of("object"));
    DiskCache cache({.folder = folder.path, .writes = false});
    CHECK(cache.find("key") == bytes_of("object"));
    cache.insert("another", bytes_of("object"));
    cache.refuse("key");
    const fs::path path = files(folder.path).at(0);
    const std::string whole = read(path);
    write(path, whole.substr(1));
    CHECK_FALSE(cache.find("key"));
    CHECK(files(folder.path).size() == 1);
    CHECK(cache.info().stored == 0);
    CHECK(cache.info().failed == 0);
}

TEST_CASE("disk cache: a disk that takes no more", "[jit][disk_cache]") {
    const ScratchFolder folder;
    DiskCache cache({.folder = folder.path});
    rlimit before{};
    REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    rlimit little = before;
    little.rlim_cur = 64;
    REQUIRE(setrlimit(RLIMIT_FSIZE, &little) == 0);
    cache.insert("key", std::vector(1000, std::byte(1)));
    setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, handler);
    CHECK(cache.info().failed == 1);
    CHECK(files(folder.path).empty());
    cache.insert("key", std::vector(1000, std::byte(1)));
    CHECK(cache.find("key") == std::vector(1000, std::byte(1)));
}

TEST_CASE("disk cache: what was used longest ago goes first", "[jit][disk_cache]") {
    const ScratchFolder folder;
    constexpr std::uint64_t bound = 50'000;
    DiskCache cache({.folder = folder.path, .bound = bound});
    cache.insert("too large", std::vector(bound, std::byte(0)));
    CHECK(files(folder.path).empty());
    const auto key = [](int i) { return "key " + std::to_string(1000 + i); };
    for (int i = 0; i < 200; ++i) {
        cache.insert(key(i), std::vector(900, std::byte(0)));
        CHECK(cache.find(key(0)));  // stays in use
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    std::uint64_t all = 0;
    for (const fs::path& path : files(folder.path)) all += fs::file_size(path);
    CHECK(all <= bound + 16 * 1000);  // what comes between two times of counting
    CHECK(all >= bound / 2);
    CHECK_FALSE(cache.find(key(1)));
    CHECK_FALSE(cache.find(key(100)));
    CHECK(cache.find(key(199)));
    CHECK(cache.find(key(170)));

    // Drafts that nobody will finish go as well, others stay.
    write(folder.path / "old.part", "x");
    write(folder.path / "new.part", "x");
    write(folder.path / "mine.txt", "x");
    fs::last_write_time(folder.path / "old.part",
                        fs::file_time_type::clock::now() - std::chrono::hours(2));
    for (int i = 0; i < 16; ++i) cache.insert(key(i), bytes_of("object"));
    CHECK_FALSE(fs::exists(folder.path / "old.part"));
    CHECK(fs::exists(folder.path / "new.part"));
    CHECK(fs::exists(folder.path / "mine.txt"));
}

TEST_CASE("disk cache: threads write and read the same entries", "[jit][disk_cache][threads]") {
    const ScratchFolder folder;
    DiskCache cache({.folder = folder.path, .bound = 20'000});
    std::atomic<int> wrong = 0, found = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            for (int i = 0; i < 200; ++i) {
                const auto number = static_cast<std::size_t>((i * 7 + t) % 30);
                const std::string key = "key " + std::to_string(number);
                const std::vector object(500 + number, std::byte(number));
                if (const auto there = cache.find(key)) {
                    ++found;
                    wrong += *there != object;
                } else {
                    cache.insert(key, object);
                }
            }
        });
    for (std::thread& thread : threads) thread.join();
    CHECK(wrong == 0);
    CHECK(found > 0);
    CHECK(cache.info().damaged == 0);
    CHECK(cache.info().failed == 0);
}

TEST_CASE("disk cache: the environment", "[jit][disk_cache]") {
    const Variable dir("KILN_CACHE_DIR", nullptr), size("KILN_CACHE_SIZE", nullptr),
        mode("KILN_CACHE", nullptr), xdg("XDG_CACHE_HOME", nullptr), home("HOME", "/home/someone");
    const auto now = [] { return DiskCache::Settings::of_environment(); };
    CHECK(now().folder == "/home/someone/.cache/kiln");
    CHECK(now().bound == 268'435'456);
    CHECK(now().reads);
    CHECK(now().writes);
    {
        const Variable set("XDG_CACHE_HOME", "/caches");
        CHECK(now().folder == "/caches/kiln");
    }
    {
        const Variable set("XDG_CACHE_HOME", "relative");  // to be ignored, its specification says
        CHECK(now().folder == "/home/someone/.cache/kiln");
        const Variable own("KILN_CACHE_DIR", "mine");
        CHECK(now().folder == fs::current_path() / "mine");
    }
    {
        const Variable none("HOME", nullptr);
        CHECK_FALSE(now().reads);
        CHECK(now().reason == "neither KILN_CACHE_DIR nor HOME names a folder");
    }
    for (const auto& [text, value] : std::vector<std::pair<const char*, std::uint64_t>>{
             {"0", 0}, {"1000", 1000}, {"3K", 3072}, {"64M", 67'108'864}, {"2G", 2'147'483'648}}) {
        const Variable set("KILN_CACHE_SIZE", text);
        CHECK(now().bound == value);
    }
    for (const char* text :
         {"M", "1T", "1MB", "-1", "1.5G", " 1", "99999999999999999999", "18446744073709551615K"}) {
        const Variable set("KILN_CACHE_SIZE", text);
        const Error error = error_of(now);
        CHECK(error.kind() == ErrorKind::usage);
        CHECK(error.message() == "KILN_CACHE_SIZE is '" + std::string(text) + "'");
    }
    {
        const Variable set("KILN_CACHE", "ro");
        CHECK(now().reads);
        CHECK_FALSE(now().writes);
        CHECK(now().reason == "KILN_CACHE is ro");
    }
    {
        const Variable set("KILN_CACHE", "off");
        CHECK_FALSE(now().reads);
        CHECK_FALSE(now().writes);
        CHECK(now().reason == "KILN_CACHE is off");
    }
    const Variable set("KILN_CACHE", "yes");
    const Error error = error_of(now);
    CHECK(error.message() == "KILN_CACHE is 'yes'");
    CHECK(error.hint() == "on, ro and off are known");
}

TEST_CASE("keys of what outlives the process: neither names nor lines, but all else",
          "[jit][disk_cache]") {
    const auto key = [](const std::string& c, const std::string& first, const std::string& second,
                        const std::string& name = "x", engine::CompileOptions options = {},
                        const char* target = "cpu") {
        const std::string text = "kernel k(" + name +
                                 ": in i64[1] unit, y: out i64[1] unit) {\n"
                                 "  stage [extent(" +
                                 name +
                                 ", 0)] {\n"
                                 "    %0 = load i64 " +
                                 name + "[i0]  ; " + first +
                                 "\n"
                                 "    %1 = ne bool %0, i64(0)  ; " +
                                 first +
                                 "\n"
                                 "    check division_by_zero, %1  ; " +
                                 second +
                                 "\n"
                                 "    %2 = add i64 %0, i64(" +
                                 c + ")  ; " + second +
                                 "\n"
                                 "    store y[i0], %2  ; " +
                                 second + "\n  }\n}\n";
        const ir::Kernel kernel = test::kernel(text);
        return engine::portable_key(engine::content_key(kernel, options, target), kernel, options,
                                    target);
    };
    const std::string one = key("1", "a.cpp:3", "a.cpp:4");
    CHECK(one == key("1", "a.cpp:30", "a.cpp:44"));
    CHECK(one == key("1", "b.cpp:7", "c.cpp:7"));
    CHECK(one == key("1", "a.cpp:3", "a.cpp:4", "other"));
    // A fault's line is found by its place in a list: which checks share a place is in the code.
    CHECK(one != key("1", "a.cpp:3", "a.cpp:3"));
    CHECK(one != key("2", "a.cpp:3", "a.cpp:4"));
    CHECK(one != key("1", "a.cpp:3", "a.cpp:4", "x", {.streaming = true}));
    CHECK(one != key("1", "a.cpp:3", "a.cpp:4", "x", {.checked = true}));
    CHECK(one != key("1", "a.cpp:3", "a.cpp:4", "x", {}, "another cpu"));
}
