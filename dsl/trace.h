// The tracer behind the DSL: which kernel the calling thread is building.
#pragma once
#include "dsl/ir/builder.h"

#include <kiln/dsl.h>

namespace kiln::dsl {

/// Makes a builder current on this thread for its lifetime; traces nest (a kernel that calls another).
class Trace {
  public:
    explicit Trace(std::string name);
    ~Trace();
    Trace(const Trace&) = delete;
    Trace& operator=(const Trace&) = delete;

    ir::Builder& builder() { return builder_; }
    /// Node and Value of this trace. A Value of another trace is Error usage.
    Value value(ir::Id id) const;
    ir::Id id(const Value& value) const;

    /// The innermost trace of this thread; Error usage ("... outside of a kernel") when there is none.
    static Trace& current(const Location& where);

  private:
    ir::Builder builder_;
    Trace* outer_;
    std::uint32_t serial_;
};

}  // namespace kiln::dsl
