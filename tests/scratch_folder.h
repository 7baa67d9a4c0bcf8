// A folder for what a test writes.
#pragma once
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace kiln::test {

/// A new folder that nothing is in, gone with the object.
struct ScratchFolder {
    ScratchFolder() {
        std::string name =
            (std::filesystem::temp_directory_path() / ("kiln-test-" + std::string(6, 'X')))
                .string();
        if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no folder like " + name);
        path = name;
    }
    ~ScratchFolder() {
        std::error_code ignored;  // what stays is in the system's folder for such things
        std::filesystem::remove_all(path, ignored);
    }
    ScratchFolder(const ScratchFolder&) = delete;
    ScratchFolder& operator=(const ScratchFolder&) = delete;

    std::filesystem::path path;
};

}  // namespace kiln::test
