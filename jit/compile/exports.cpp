#include "runtime/process.h"

#include <kiln/named.h>

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

namespace kiln {
namespace {

struct Exports {
    detail::Mutex mutex;
    std::vector<Named> all;
};
/// Never destroyed: libraries are closed when they like.
Exports& exports() {
    static constinit detail::Lazy<Exports> made;
    return made.get();
}

}  // namespace

void Named::check_name() const {
    const auto is_part = [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
    };
    if (name_.empty() || std::isdigit(static_cast<unsigned char>(name_[0])) != 0 ||
        !std::ranges::all_of(name_, is_part))
        throw Error(ErrorKind::usage, fmt::format("'{}' is no name of C++", name_));
}

std::vector<Named> exported() {
    const std::lock_guard lock(exports().mutex);
    return exports().all;
}

detail::Export::Export(Named named) : address_(named.address()) {
    const std::lock_guard lock(exports().mutex);
    exports().all.push_back(std::move(named));
}

detail::Export::~Export() {
    const std::lock_guard lock(exports().mutex);
    std::erase_if(exports().all, [&](const Named& n) { return n.address() == address_; });
}

}  // namespace kiln
