#include "jit/compile/disk_cache.h"

#include "jit/compile/bundle.h"
#include "jit/compile/cache.h"
#include "jit/compile/cache_entry.h"
#include "jit/compile/observe.h"
#include "runtime/process.h"

#include <kiln/error.h>

#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <limits>
#include <memory>
#include <system_error>
#include <utility>

#include <fmt/format.h>

namespace kiln::engine {
namespace {

constexpr std::array<std::string_view, 2> suffixes{".code", ".pass"};  // of Kind
constexpr std::string_view unfinished = ".part";
constexpr std::uint64_t longest_file = std::uint64_t(1) << 30;
constexpr time_t given_up_seconds = 3600;  ///< an unfinished file that is older is nobody's
/// Files are counted once in so many insertions, of whichever process.
constexpr std::uint64_t trim_period = 16;

/// What a file of this name holds; nothing: it is no entry.
std::optional<DiskCache::Kind> kind_of(std::string_view path) {
    for (std::size_t i = 0; i < suffixes.size(); ++i)
        if (path.ends_with(suffixes[i])) return static_cast<DiskCache::Kind>(i);
    return std::nullopt;
}

/// The object, if the bytes are a whole entry of this key and nothing else.
std::optional<std::vector<std::byte>> object_in(std::span<const std::byte> file,
                                                std::string_view key) {
    const std::optional<CacheEntry> entry = entry_at(file);
    if (!entry || entry->bytes != file.size() || entry->key != key) return std::nullopt;
    return std::vector(entry->object.begin(), entry->object.end());
}

// ------------------------------------------------------------------------------ files

class File {
  public:
    File(const std::string& path, int flags, mode_t mode = 0)
        : descriptor_(open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, mode)) {}
    ~File() { close(); }
    File(const File&) = delete;
    File& operator=(const File&) = delete;

    explicit operator bool() const { return descriptor_ >= 0; }
    int descriptor() const { return descriptor_; }
    bool close() { return descriptor_ < 0 || ::close(std::exchange(descriptor_, -1)) == 0; }

    bool write(std::span<const std::byte> bytes) {
        while (!bytes.empty()) {
            const ssize_t n = ::write(descriptor_, bytes.data(), bytes.size());
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) return false;
            bytes = bytes.subspan(static_cast<std::size_t>(n));
        }
        return true;
    }
    /// A regular file of this user's, whole.
    std::optional<std::vector<std::byte>> read() {
        struct stat status{};
        if (fstat(descriptor_, &status) != 0 || !S_ISREG(status.st_mode) ||
            status.st_uid != geteuid() || static_cast<std::uint64_t>(status.st_size) > longest_file)
            return std::nullopt;
        std::vector<std::byte> bytes(static_cast<std::size_t>(status.st_size));
        for (std::size_t at = 0; at < bytes.size();) {
            const ssize_t n = ::read(descriptor_, bytes.data() + at, bytes.size() - at);
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) return std::nullopt;
            at += static_cast<std::size_t>(n);
        }
        return bytes;
    }
    void used_now() const {
        futimens(descriptor_, nullptr);  // where it fails, the file goes earlier than it should
    }

  private:
    int descriptor_;
};

/// Why a folder is not to be used; empty: it may be, or is not there.
std::string objection(const std::string& folder) {
    struct stat status{};
    if (stat(folder.c_str(), &status) != 0)
        return errno == ENOENT ? "" : folder + ": " + std::strerror(errno);
    if (!S_ISDIR(status.st_mode)) return folder + " is not a folder";
    if (status.st_uid != geteuid()) return folder + " belongs to someone else";
    if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) return "others may write to " + folder;
    return {};
}

bool make_folder(const std::string& folder) {
    std::error_code error;
    const std::filesystem::path path = folder;
    if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), error);
    return mkdir(folder.c_str(), S_IRWXU) == 0 || errno == EEXIST;
}

// ------------------------------------------------------------------------------ settings

std::string variable(const char* name) {
    const char* const text = std::getenv(name);
    return text == nullptr ? "" : text;
}

std::uint64_t size_of(const std::string& text) {
    std::uint64_t number = 0;
    const char* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    const std::string_view unit(rest, static_cast<std::size_t>(end - rest));
    constexpr std::string_view units = "KMG";
    const std::size_t power = unit.empty() ? 0 : units.find(unit.front()) + 1;
    if (error != std::errc() || unit.size() > 1 || (!unit.empty() && power == 0) ||
        number > std::numeric_limits<std::uint64_t>::max() >> 10 * power)
        throw Error(ErrorKind::usage, "KILN_CACHE_SIZE is '" + text + "'", {},
                    "a number of bytes, such as 67108864 or 64M");
    return number << 10 * power;
}

std::string folder_of_environment() {
    std::error_code error;  // of a working folder that is gone: then it stays relative
    if (const std::string given = variable("KILN_CACHE_DIR"); !given.empty()) {
        if (given.starts_with('/')) return given;
        const std::filesystem::path whole = std::filesystem::absolute(given, error);
        return error ? given : whole.string();
    }
    const std::string cache = variable("XDG_CACHE_HOME"), home = variable("HOME");
    if (cache.starts_with('/')) return cache + "/kiln";
    return home.starts_with('/') ? home + "/.cache/kiln" : "";
}

}  // namespace

DiskCache::Settings DiskCache::Settings::of_environment() {
    Settings settings;
    const auto off = [&](std::string reason) {
        settings.reads = settings.writes = false;
        settings.reason = std::move(reason);
        return settings;
    };
    if (getauxval(AT_SECURE) != 0) return off("the program runs with the rights of another user");
    const std::string mode = variable("KILN_CACHE");
    if (!mode.empty() && mode != "on" && mode != "ro" && mode != "off")
        throw Error(ErrorKind::usage, "KILN_CACHE is '" + mode + "'", {},
                    "on, ro and off are known");
    if (const std::string size = variable("KILN_CACHE_SIZE"); !size.empty())
        settings.bound = size_of(size);
    settings.folder = folder_of_environment();
    if (mode == "off") return off("KILN_CACHE is off");
    if (settings.folder.empty()) return off("neither KILN_CACHE_DIR nor HOME names a folder");
    if (mode == "ro") {
        settings.writes = false;
        settings.reason = "KILN_CACHE is ro";
    }
    return settings;
}

DiskCache::DiskCache(Settings settings)
    : settings_(std::move(settings)), turn_(static_cast<std::uint64_t>(getpid())) {
    if (!settings_.reads) return;
    if (std::string why = objection(settings_.folder); !why.empty()) {
        settings_.reads = settings_.writes = false;
        settings_.reason = std::move(why);
    }
}

std::string DiskCache::path_of(std::string_view key, Kind kind) const {
    return fmt::format("{}/{}{}", settings_.folder, content_symbol(key),
                       suffixes[static_cast<std::size_t>(kind)]);
}

std::optional<std::vector<std::byte>> DiskCache::find(std::string_view key, Kind kind,
                                                      std::string* why) {
    const kiln::detail::Busy busy;
    const bool is_code = kind == Kind::code;
    if (!settings_.reads) {
        if (why != nullptr) *why = settings_.reason;
        return std::nullopt;
    }
    const std::string path = path_of(key, kind);
    File file(path, O_RDONLY);
    if (!file) {
        misses_ += is_code;
        return std::nullopt;
    }
    const auto bytes = file.read();
    auto object = bytes ? object_in(*bytes, key) : std::nullopt;
    if (object) {
        ++(is_code ? hits_ : passes_skipped_);
        if (settings_.writes) file.used_now();
    } else {
        misses_ += is_code;
        ++damaged_;
        if (why != nullptr) *why = "its entry was damaged: " + path;
        if (settings_.writes) unlink(path.c_str());  // the next one is written over it anyhow
    }
    return object;
}

std::optional<std::vector<std::byte>> DiskCache::find_bundled(std::string_view key, Kind kind) {
    if (!has_bundles()) return std::nullopt;
    const std::lock_guard lock(mutex_);
    for (const auto& bundle : bundles_)
        if (const auto object = bundle->find(key)) {
            ++(kind == Kind::code ? hits_ : passes_skipped_);
            return std::vector(object->begin(), object->end());
        }
    return std::nullopt;
}

void DiskCache::add(std::shared_ptr<const Bundle> bundle) {
    const std::lock_guard lock(mutex_);
    bundles_.push_back(std::move(bundle));
    has_bundles_.store(true, std::memory_order_release);
}

void DiskCache::refuse(std::string_view key) {
    --hits_;
    ++misses_;
    ++damaged_;
    if (settings_.writes) unlink(path_of(key, Kind::code).c_str());
}

void DiskCache::insert(std::string_view key, std::span<const std::byte> object, Kind kind) {
    if (!settings_.writes || entry_bytes(key, object) > settings_.bound) return;
    bool done = false;
    {
        const kiln::detail::Busy busy;
        done = make_folder(settings_.folder) && objection(settings_.folder).empty() &&
               write(path_of(key, kind), key, object);
        if (done && kind == Kind::code) ++stored_;
        if (done && turn_++ % trim_period == 0) trim();
    }
    if (!done && failed_++ == 0)
        log(LogLevel::warning, {}, {},
            "the disk cache cannot write to " + settings_.folder +
                ": what is compiled is compiled again by the next process");
}

/// Under another name first: nobody sees half of it, also if the process is killed meanwhile.
bool DiskCache::write(const std::string& path, std::string_view key,
                      std::span<const std::byte> object) {
    static constinit std::atomic<unsigned> number{0};
    const std::string draft = fmt::format("{}.{}.{}{}", path, getpid(), number++, unfinished);
    const EntryHead head = entry_head(key, object);
    File file(draft, O_WRONLY | O_CREAT | O_EXCL, S_IRUSR | S_IWUSR);
    if (!file) return false;
    const bool written =
        file.write(head) && file.write(std::as_bytes(std::span(key))) && file.write(object);
    if (file.close() && written && rename(draft.c_str(), path.c_str()) == 0) return true;
    unlink(draft.c_str());
    return false;
}

namespace {

/// Calls f(path, status) for each regular file of a folder.
template <class F> void each_file(const std::string& folder, F f) {
    std::error_code error;
    const std::filesystem::directory_iterator end;
    for (std::filesystem::directory_iterator at(folder, error); !error && at != end;
         at.increment(error)) {
        const std::string path = at->path().string();
        struct stat status{};
        if (lstat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode)) f(path, status);
    }
}

}  // namespace

/// Down to three quarters of the bound once that is passed, so that this is rare.
void DiskCache::trim() const {
    struct Found {
        std::string path;
        timespec used;
        std::uint64_t bytes;
    };
    std::vector<Found> found;
    std::uint64_t all = 0;
    const time_t now = time(nullptr);
    each_file(settings_.folder, [&](const std::string& path, const struct stat& status) {
        if (path.ends_with(unfinished) && status.st_mtim.tv_sec < now - given_up_seconds)
            unlink(path.c_str());
        if (!kind_of(path)) return;
        const auto bytes = static_cast<std::uint64_t>(status.st_size);
        all += bytes;
        found.push_back({path, status.st_mtim, bytes});
    });
    if (all <= settings_.bound) return;
    std::ranges::sort(found, {},
                      [](const Found& e) { return std::pair(e.used.tv_sec, e.used.tv_nsec); });
    for (const Found& e : found) {
        if (all <= settings_.bound / 4 * 3) break;
        if (unlink(e.path.c_str()) == 0) all -= e.bytes;
    }
}

std::vector<DiskCache::Entry> DiskCache::entries() const {
    std::vector<Entry> all;
    each_file(settings_.folder, [&](const std::string& path, const struct stat& status) {
        const std::optional<Kind> kind = kind_of(path);
        if (!kind) return;
        Entry entry{path, static_cast<std::uint64_t>(status.st_size), status.st_mtim.tv_sec, *kind};
        File file(path, O_RDONLY);
        const auto bytes = file ? file.read() : std::nullopt;
        const auto found = bytes ? entry_at(*bytes) : std::nullopt;
        if (found && found->bytes == bytes->size()) {
            entry.is_whole = true;
            entry.key = found->key;
        }
        all.push_back(std::move(entry));
    });
    std::ranges::sort(all, std::ranges::greater(), &Entry::used);
    return all;
}

std::size_t DiskCache::clear() {
    std::size_t gone = 0;
    each_file(settings_.folder, [&](const std::string& path, const struct stat&) {
        const bool is_entry = kind_of(path).has_value();
        if (!is_entry && !path.ends_with(unfinished)) return;
        if (unlink(path.c_str()) == 0 && is_entry) ++gone;
    });
    return gone;
}

DiskCacheInfo DiskCache::info() const {
    DiskCacheInfo info;
    info.folder = settings_.folder;
    info.reads = settings_.reads;
    info.writes = settings_.writes;
    info.reason = settings_.reason;
    info.bound = settings_.bound;
    info.hits = hits_;
    info.misses = misses_;
    info.stored = stored_;
    info.damaged = damaged_;
    info.failed = failed_;
    info.passes_skipped = passes_skipped_;
    return info;
}

DiskCache& DiskCache::instance() {
    static constinit kiln::detail::Lazy<DiskCache> cache;
    return cache.get([] {
        auto made = std::make_unique<DiskCache>(Settings::of_environment());
        const DiskCacheInfo info = made->info();
        if (!info.reads && !info.reason.starts_with("KILN_CACHE is"))
            log(LogLevel::warning, {}, {}, "the disk cache is not used: " + info.reason);
        return made;
    });
}

}  // namespace kiln::engine

namespace kiln {

DiskCacheInfo disk_cache_info() { return engine::DiskCache::instance().info(); }

}  // namespace kiln
