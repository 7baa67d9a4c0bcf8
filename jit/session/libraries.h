// Libraries of kiln's that are opened where they are first needed.
#pragma once
#include <string>

namespace kiln::tool {

/// Of the library that kiln is in, with a '/' at the end.
std::string library_folder();

/// One in that folder; it stays open.
class OpenLibrary {
  public:
    enum class Names : bool { own, of_process };  ///< who finds what it exports
    /// `why`: "the REPL needs Clang's interpreter". Errors: unsupported (it is not there, or what it
    /// needs is not).
    OpenLibrary(const std::string& name, const std::string& why, Names names = Names::own);
    /// Errors: internal (there is none of that name).
    template <class F> F function(const char* name) const {
        return reinterpret_cast<F>(address(name));
    }

  private:
    void* address(const char* name) const;
    void* handle_;
};

}  // namespace kiln::tool
