#include "jit/compile/bundle.h"

#include "jit/compile/cache_entry.h"
#include "jit/compile/disk_cache.h"
#include "jit/compile/key_parts.h"
#include "jit/compile/target.h"

#include <kiln/error.h>

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>

#include <fmt/format.h>

namespace kiln::engine {
namespace {

constexpr std::string_view mark = "kilnbun1";
constexpr std::string_view passes_mark = "\npasses\n";  // passed_key

std::vector<std::byte> content_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::vector<char> all{std::istreambuf_iterator<char>(file), {}};
    if (!file.is_open() || file.bad())
        throw Error(ErrorKind::io,
                    fmt::format("'{}' cannot be read: {}", path, std::strerror(errno)));
    const auto* const first = reinterpret_cast<const std::byte*>(all.data());
    return {first, first + all.size()};
}

std::string_view target_of(std::string_view key) { return key.substr(0, key.find('\n')); }
bool is_code(std::string_view key) {
    return !key.substr(target_of(key).size()).starts_with(passes_mark);
}
bool is_of_this_build(std::string_view key) {
    return target_of(key).ends_with(std::string("/kiln-") + build_fingerprint);
}

BundleInfo info_of(const std::vector<std::string_view>& keys) {
    BundleInfo info;
    for (const std::string_view key : keys) {
        if (!is_code(key)) continue;
        ++info.kernels;
        info.usable += is_usable(key);
    }
    return info;
}

}  // namespace

bool is_usable(std::string_view key) {
    const std::string_view target = target_of(key);
    return target == target_id(BackendTarget::cpu) || target == portable_target_id();
}

Bundle::Bundle(const std::string& path) : file_(content_of(path)) {
    std::span<const std::byte> left(file_);
    const auto head = std::as_bytes(std::span(mark));
    if (left.size() < head.size() || !std::ranges::equal(left.first(head.size()), head))
        throw Error(ErrorKind::io, fmt::format("'{}' is no bundle of kiln", path));
    left = left.subspan(head.size());
    const auto damaged = [&] {
        return Error(ErrorKind::io, fmt::format("the bundle '{}' is damaged", path));
    };
    std::uint64_t bytes = 0;
    if (left.size() < sizeof bytes) throw damaged();
    std::memcpy(&bytes, left.data(), sizeof bytes);
    left = left.subspan(sizeof bytes);
    if (left.size() != bytes) throw damaged();
    while (!left.empty()) {
        const auto entry = entry_at(left);
        if (!entry) throw damaged();
        objects_.emplace(entry->key, entry->object);
        left = left.subspan(entry->bytes);
    }
}

std::optional<std::span<const std::byte>> Bundle::find(std::string_view key) const {
    const auto at = objects_.find(key);
    if (at == objects_.end()) return std::nullopt;
    return at->second;
}

std::vector<std::string_view> Bundle::keys() const {
    std::vector<std::string_view> all;
    for (const auto& [key, object] : objects_) all.push_back(key);
    return all;
}

BundleInfo write_bundle(const std::string& path, const std::vector<std::string>& bundles,
                        const std::vector<std::string>& entry_files) {
    std::set<std::string> written;
    std::string all;
    const auto write = [&](std::string_view key, std::span<const std::byte> object) {
        if (!written.emplace(key).second) return;
        const EntryHead head = entry_head(key, object);
        for (const std::span<const std::byte> part :
             {std::span<const std::byte>(head), std::as_bytes(std::span(key)), object})
            all.append(reinterpret_cast<const char*>(part.data()), part.size());
    };
    for (const std::string& one : bundles) {
        const Bundle bundle(one);
        auto keys = bundle.keys();
        std::ranges::sort(keys);
        for (const std::string_view key : keys) write(key, *bundle.find(key));
    }
    for (const std::string& one : entry_files) {
        const auto bytes = content_of(one);
        if (const auto entry = entry_at(bytes)) write(entry->key, entry->object);
    }
    const std::string draft = fmt::format("{}.{}.part", path, getpid());
    const std::uint64_t bytes = all.size();
    std::ofstream file(draft, std::ios::binary | std::ios::trunc);
    file << mark;
    file.write(reinterpret_cast<const char*>(&bytes), sizeof bytes);
    file << all;
    file.close();
    std::error_code error;
    if (file) std::filesystem::rename(draft, path, error);
    if (!file || error) {
        const std::string why = error ? error.message() : std::strerror(errno);
        std::filesystem::remove(draft, error);
        throw Error(ErrorKind::io, fmt::format("'{}' cannot be written: {}", path, why));
    }
    return info_of({written.begin(), written.end()});
}

namespace {

/// f(), with the user's line in errors.
template <class F> auto for_caller(std::source_location where, F&& f) {
    try {
        return f();
    } catch (const Error& error) {
        throw Error(error.kind(), error.message(), where, error.hint());
    }
}

/// Of the entries for other machines: the targets, each once, and where they differ from this one.
std::string other_targets(const Bundle& bundle) {
    std::set<std::string> all;
    const std::string here = target_id(BackendTarget::cpu);
    for (const std::string_view key : bundle.keys())
        all.insert(field_differences(key_parts(target_of(key)), key_parts(here)));
    std::string text;
    for (const std::string& one : all) text += (text.empty() ? "" : "; or ") + one;
    return text.empty() ? "it is empty" : text;
}

}  // namespace
}  // namespace kiln::engine

namespace kiln {

BundleInfo save_bundle(const std::string& path, std::source_location where) {
    return engine::for_caller(where, [&] {
        const auto& disk = engine::DiskCache::instance();
        std::vector<std::string> files;
        for (const auto& entry : disk.entries())
            if (entry.is_whole && engine::is_of_this_build(entry.key)) files.push_back(entry.path);
        if (files.empty())
            throw Error(
                ErrorKind::usage, fmt::format("there is nothing to put into '{}'", path), {},
                disk.info().reason.empty()
                    ? fmt::format("the folder of the disk cache is '{}'", disk.info().folder)
                    : disk.info().reason);
        std::ranges::sort(files);
        return engine::write_bundle(path, {}, files);
    });
}

BundleInfo load_bundle(const std::string& path, std::source_location where) {
    return engine::for_caller(where, [&] {
        auto bundle = std::make_shared<const engine::Bundle>(path);
        const BundleInfo info = engine::info_of(bundle->keys());
        if (info.usable == 0)
            throw Error(ErrorKind::unsupported,
                        fmt::format("the bundle '{}' has no code for this machine: {}", path,
                                    engine::other_targets(*bundle)),
                        {}, "code that KILN_CPU=portable made is for every CPU of its level");
        engine::DiskCache::instance().add(std::move(bundle));
        return info;
    });
}

}  // namespace kiln
