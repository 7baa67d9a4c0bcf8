// What the passes and the lanes decide about the user's loops: one record for each thing that was
// done, or refused, from which remarks, parallel_diagnostics and the plan are made.
#pragma once
#include "dsl/ir/ir.h"

#include <kiln/remark.h>

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kiln::codegen {

enum class DecisionKind : std::uint8_t {
#define KILN_DECISION(id, shown, name, doc) id,
#include "codegen/decisions.def"
#undef KILN_DECISION
};

/// Where a decision shows besides the plan.
enum class Shown : std::uint8_t { plan, remarks, hoisted };

struct DecisionInfo {
    std::string_view id;
    Shown shown;
    std::string_view name, doc;
};
const DecisionInfo& info(DecisionKind kind);

struct Decision {
    using Numbers = std::vector<std::pair<std::string_view, std::int64_t>>;  // names are literals

    DecisionKind kind;
    bool done;         ///< else refused
    std::string file;  ///< of the loop; empty where no line is known
    std::uint32_t line;
    std::string text;      ///< what was done, or why not, in the user's names and lines
    Numbers numbers = {};  ///< what `text` says in numbers, for programs

    bool operator==(const Decision&) const = default;
    /// "fused: loop at ...", "not fused: ..."
    std::string sentence() const;
};

/// In the order in which they were taken; none twice.
class Decisions {
  public:
    void done(DecisionKind kind, const Location& at, std::string text,
              Decision::Numbers numbers = {});
    void refused(DecisionKind kind, const Location& at, std::string reason);
    const std::vector<Decision>& all() const { return all_; }
    /// Those that show there, as sentences.
    std::vector<Remark> remarks(Shown where = Shown::remarks) const;

    /// Those of another record, behind these.
    void add(const Decisions& other);

  private:
    void add(Decision made);
    std::vector<Decision> all_;
};

/// Where users look for what became of a node: at the loop or statement around it. The kernel
/// outlives it.
class LoopLines {
  public:
    explicit LoopLines(const ir::Kernel& kernel);
    Location of(ir::Id node) const;

  private:
    const ir::Kernel& kernel_;
    std::vector<std::uint32_t> lines_;  // per node: of the innermost loop, of the stage, or its own
};

/// What was done to operations, counted by line.
class Tally {
  public:
    void add(const Location& at, std::string_view what);
    /// A decision a line: what it says in front of "mul x 2, exp".
    void tell(Decisions& decisions, DecisionKind kind, std::string_view what) const;

  private:
    std::map<std::pair<std::string, std::uint32_t>, std::map<std::string, std::int64_t>> counts_;
};

/// "at file.cpp:12", of the node's line; "of the kernel" where there is none.
std::string place_of(const ir::Kernel& kernel, ir::Id node);
/// "file.cpp:12".
std::string line_of(const ir::Kernel& kernel, ir::Id node);

}  // namespace kiln::codegen
