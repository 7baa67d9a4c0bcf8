#include "jit/cpu/listing.h"

#include <llvm/IR/AssemblyAnnotationWriter.h>
#include <llvm/IR/CFG.h>
#include <llvm/IR/DebugInfo.h>
#include <llvm/IR/Module.h>
#include <llvm/Support/FormattedStream.h>
#include <llvm/Support/raw_ostream.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace kiln::engine {
namespace {

/// Lines of files that can be read.
class Sources {
  public:
    /// "file.cpp:12: text", the text where it is known.
    std::string label(const std::string& path, unsigned line) {
        auto found = files_.find(path);
        if (found == files_.end()) {
            std::ifstream in(path);
            std::vector<std::string> lines;
            for (std::string text; std::getline(in, text);) lines.push_back(text);
            found = files_.emplace(path, std::move(lines)).first;
        }
        std::string text = fmt::format("{}:{}", path.substr(path.rfind('/') + 1), line);
        if (line == 0 || line > found->second.size()) return text;
        const std::string& whole = found->second[line - 1];
        const std::size_t begin = whole.find_first_not_of(" \t");
        return begin == std::string::npos ? text : text + ": " + whole.substr(begin);
    }

  private:
    std::map<std::string, std::vector<std::string>> files_;
};

// ------------------------------------------------------------------------------ assembler

std::string_view word(std::string_view& text) {
    const std::size_t begin = text.find_first_not_of(" \t");
    if (begin == std::string_view::npos) return text = {};
    const std::size_t end = std::min(text.find_first_of(" \t", begin), text.size());
    const std::string_view found = text.substr(begin, end - begin);
    text = text.substr(end);
    return found;
}

/// The text between quotation marks that begin next.
std::string quoted_part(std::string_view& text) {
    const std::size_t begin = text.find('"');
    if (begin == std::string_view::npos) return {};
    const std::size_t end = text.find('"', begin + 1);
    const std::string part(text.substr(begin + 1, end - begin - 1));
    text = end == std::string_view::npos ? "" : text.substr(end + 1);
    return part;
}

/// Works on several elements: names a wide register, or a narrow one in an operation that is not on
/// one float and does not move one element.
bool is_vector(std::string_view line) {
    if (line.find("%ymm") != line.npos || line.find("%zmm") != line.npos) return true;
    if (line.find("%xmm") == line.npos) return false;
    std::string_view name = word(line);
    if (name.starts_with('v')) name.remove_prefix(1);
    for (const std::string_view one : {"movd", "movq", "cvtsi2", "cvtusi2", "cvttss", "cvttsd",
                                       "comis", "ucomis", "pinsr", "pextr"})
        if (name.starts_with(one)) return false;
    return !name.ends_with("ss") && !name.ends_with("sd") && !name.ends_with("ssl") &&
           !name.ends_with("sdl");
}

}  // namespace

std::string assembly_listing(const std::string& assembly) {
    std::map<std::string, std::string, std::less<>> files;
    Sources sources;
    std::string text, shown, wanted;
    std::istringstream lines(assembly);
    for (std::string line; std::getline(lines, line);) {
        std::string_view rest = line;
        const std::string_view first = word(rest);
        if (first == ".section" && rest.find(".debug") != rest.npos) break;
        if (first == ".file") {
            const std::string number(word(rest));
            const std::string folder = quoted_part(rest), name = quoted_part(rest);
            files[number] = name.empty()            ? folder
                            : name.starts_with('/') ? name
                                                    : folder + "/" + name;
        } else if (first == ".loc") {
            const auto file = files.find(word(rest));
            const unsigned number =
                static_cast<unsigned>(std::atol(std::string(word(rest)).c_str()));
            if (file != files.end() && number != 0) wanted = sources.label(file->second, number);
        } else if (first.starts_with(".Ltmp") || first.starts_with(".Lfunc") ||
                   first.starts_with(".cfi") || first == "#DEBUG_VALUE:" ||
                   line.find("#DEBUG_VALUE") != line.npos) {
            continue;
        } else if (line.starts_with('\t') && !first.starts_with('.') && !first.starts_with('#')) {
            if (wanted != shown) text += "# " + (shown = wanted) + "\n";
            text += (is_vector(line) ? "| " : "  ") + line.substr(1) + "\n";
        } else if (!first.starts_with('.') || first.starts_with(".LBB")) {
            if (first.ends_with(':') && !first.starts_with('.')) shown.clear();  // a function
            text += line + "\n";
        }
    }
    return text;
}

// ------------------------------------------------------------------------------ LLVM

namespace {

class Lines final : public llvm::AssemblyAnnotationWriter {
  public:
    explicit Lines(llvm::Module& module) {
        Sources sources;
        for (const llvm::Function& f : module)
            for (const llvm::BasicBlock& block : f)
                for (const llvm::Instruction& i : block)
                    if (const llvm::DILocation* at = i.getDebugLoc();
                        at != nullptr && at->getLine() != 0) {
                        const std::string name = at->getFilename().str();
                        of_[&i] = sources.label(
                            name.starts_with('/') ? name : at->getDirectory().str() + "/" + name,
                            at->getLine());
                    }
    }
    void emitInstructionAnnot(const llvm::Instruction* i,
                              llvm::formatted_raw_ostream& out) override {
        const auto found = of_.find(i);
        if (found == of_.end() || found->second == shown_) return;
        shown_ = found->second;
        out << "; " << shown_ << "\n";
    }
    void emitFunctionAnnot(const llvm::Function*, llvm::formatted_raw_ostream&) override {
        shown_.clear();
    }

  private:
    std::map<const llvm::Instruction*, std::string> of_;
    std::string shown_;
};

}  // namespace

std::string llvm_listing(llvm::Module& module) {
    Lines lines(module);
    llvm::StripDebugInfo(module);
    std::string text;
    llvm::raw_string_ostream out(text);
    module.print(out, &lines);
    return text;
}

std::string flow_graph(llvm::Module& module) {
    const auto quoted = [](const std::string& text) {
        std::string result;
        for (const char c : text) {
            if (c == '"' || c == '\\') result += '\\';
            result += c == '\n' ? "\\l" : std::string(1, c);
        }
        return '"' + result + '"';
    };
    std::string text;
    for (llvm::Function& f : module) {
        if (f.isDeclaration()) continue;
        text += fmt::format("digraph {} {{\n  node [shape=box, fontname=monospace];\n",
                            quoted(f.getName().str()));
        std::map<const llvm::BasicBlock*, std::size_t> numbers;
        for (const llvm::BasicBlock& block : f) numbers.emplace(&block, numbers.size());
        for (llvm::BasicBlock& block : f) {
            std::string code = block.getName().str() + ":\n";
            llvm::raw_string_ostream out(code);
            for (const llvm::Instruction& i : block) {
                i.print(out);
                out << "\n";
            }
            text += fmt::format("  b{} [label={}];\n", numbers[&block], quoted(code));
            const llvm::Instruction* const end = block.getTerminator();
            const bool two = end->getNumSuccessors() == 2;
            for (unsigned s = 0; s < end->getNumSuccessors(); ++s)
                text +=
                    fmt::format("  b{} -> b{}{};\n", numbers[&block], numbers[end->getSuccessor(s)],
                                !two     ? ""
                                : s == 0 ? " [label=yes]"
                                         : " [label=no]");
        }
        text += "}\n";
    }
    return text;
}

}  // namespace kiln::engine
