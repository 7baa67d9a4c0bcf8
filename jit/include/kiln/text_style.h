// How LLVM's texts of kernels are written.
#pragma once
#include <cstdint>

namespace kiln {

/// Of Artifact::llvm_opt and Artifact::assembly.
enum class TextStyle : std::uint8_t {
    plain,
    lines,  ///< with the user's lines between the code; vector instructions of assembler are marked
    graph,  ///< llvm_opt: the control flow, as a graph for Graphviz
};

/// While it lives, `inspect` of this thread gives texts in this style.
class TextsIn {
  public:
    explicit TextsIn(TextStyle style);
    ~TextsIn();
    TextsIn(const TextsIn&) = delete;
    TextsIn& operator=(const TextsIn&) = delete;
    /// What `inspect` gives now.
    static TextStyle style();

  private:
    TextStyle before_;
};

}  // namespace kiln
