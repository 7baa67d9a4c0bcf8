// kiln cache: the folder of the disk cache, looked at from outside.
#include "codegen/passes/kernel_plan.h"
#include "jit/compile/bundle.h"
#include "jit/compile/disk_cache.h"
#include "jit/compile/target.h"
#include "jit/tool/command.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>

#include <fmt/format.h>

namespace kiln::tool {
namespace {

using codegen::json_string;
using engine::DiskCache;
using Entry = DiskCache::Entry;

std::string name_of(const Entry& entry) { return entry.path.substr(entry.path.rfind('/') + 1); }

std::string time_of(const Entry& entry) {
    const std::time_t seconds = entry.used;
    std::tm parts{};
    std::array<char, 32> text{};
    localtime_r(&seconds, &parts);
    const std::size_t size = std::strftime(text.data(), text.size(), "%F %T", &parts);
    return {text.data(), size};
}

/// Made by this build for this CPU as it is used now.
bool is_usable(const Entry& entry) { return entry.is_whole && engine::is_usable(entry.key); }

std::string_view state_of(const Entry& entry) {
    return !entry.is_whole ? "damaged" : is_usable(entry) ? "usable" : "other build or CPU";
}

void list(const std::vector<Entry>& entries, bool json) {
    std::string text = json ? "[" : "";
    for (const Entry& e : entries) {
        if (json)
            text +=
                fmt::format("{}\n  {{\"file\": {}, \"bytes\": {}, \"used\": {}, \"state\": {}}}",
                            text.size() == 1 ? "" : ",", json_string(e.path), e.bytes, e.used,
                            json_string(state_of(e)));
        else
            text +=
                fmt::format("{:>9}  {}  {}  {}\n", e.bytes, time_of(e), name_of(e), state_of(e));
    }
    std::fputs((text + (json ? "\n]\n" : "")).c_str(), stdout);
}

void print_stats(const std::vector<Entry>& entries, bool json) {
    const DiskCacheInfo info = disk_cache_info();
    std::uint64_t bytes = 0;
    for (const Entry& e : entries) bytes += e.bytes;
    const auto usable = std::ranges::count_if(entries, is_usable);
    const auto damaged = std::ranges::count(entries, false, &Entry::is_whole);
    if (json) {
        fmt::print(
            "{{\"folder\": {}, \"reads\": {}, \"writes\": {}, \"reason\": {}, "
            "\"entries\": {}, \"usable\": {}, \"damaged\": {}, \"bytes\": {}, "
            "\"bound\": {}}}\n",
            json_string(info.folder), info.reads, info.writes, json_string(info.reason),
            entries.size(), usable, damaged, bytes, info.bound);
        return;
    }
    fmt::print("folder   {}{}\n", info.folder.empty() ? "none" : info.folder,
               info.reason.empty() ? "" : fmt::format(" ({})", info.reason));
    fmt::print("entries  {}: {} for this build and CPU, {} damaged\n", entries.size(), usable,
               damaged);
    fmt::print("bytes    {} of at most {}\n", bytes, info.bound);
}

Status verify(const std::vector<Entry>& entries) {
    std::size_t damaged = 0;
    for (const Entry& e : entries) {
        if (e.is_whole) continue;
        ++damaged;
        fmt::print("{}: damaged\n", e.path);
    }
    fmt::print("{} entries, {} damaged{}\n", entries.size(), damaged,
               damaged == 0 ? "" : " (they count as missing, and are replaced)");
    return damaged == 0 ? Status::good : Status::failed;
}

/// The folder's entries, or bundles that are named, in one file.
Status bundle(const std::vector<std::string>& words) {
    if (words.size() < 2) throw UsageError("cache bundle needs a file");
    const std::vector<std::string> others(words.begin() + 2, words.end());
    const BundleInfo made =
        others.empty() ? save_bundle(words[1]) : engine::write_bundle(words[1], others, {});
    fmt::print("{}: {} kernels, {} for this build and CPU\n", words[1], made.kernels, made.usable);
    return Status::good;
}

}  // namespace

Status cache(const Arguments& arguments) {
    const std::vector<std::string>& words = arguments.words();
    if (!words.empty() && words[0] == "bundle") return bundle(words);
    if (words.size() != 1)
        throw UsageError("cache needs one of ls, stats, clear, verify and bundle");
    const std::string& what = words[0];
    const bool json = arguments.has("--json");
    DiskCache& folder = DiskCache::instance();
    if (what == "ls") {
        list(folder.entries(), json);
    } else if (what == "stats") {
        print_stats(folder.entries(), json);
    } else if (what == "clear") {
        fmt::print("{} entries removed\n", folder.clear());
    } else if (what == "verify") {
        return verify(folder.entries());
    } else {
        throw UsageError(
            fmt::format("cache {}: ls, stats, clear, verify and bundle are known", what));
    }
    return Status::good;
}

}  // namespace kiln::tool
