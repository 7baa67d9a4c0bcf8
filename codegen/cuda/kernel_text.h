// Internal to codegen/cuda: what the texts of all forms of kernels share: names, values, nodes.
#pragma once
#include "codegen/cuda/emit.h"
#include "codegen/cuda/wide.h"

#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include <fmt/format.h>

namespace kiln::codegen {

[[noreturn]] void refuse_cuda(const std::string& what, const Location& where,
                              const char* hint = "see codegen/README.md for what it takes");

/// The text of one function. A form of kernels derives from it, writes its body by `line`, `block`
/// and what stands beside them, and then asks for the signature.
class KernelText {
  protected:
    /// `by_value`: of array parameters that launches give values for, one a parameter, or nothing.
    KernelText(const ir::Kernel& kernel, std::string entry, std::vector<bool> by_value);
    virtual ~KernelText() = default;
    KernelText(const KernelText&) = delete;
    KernelText& operator=(const KernelText&) = delete;

    // --- what forms decide ---

    /// A value that an iteration adds to reduction n.aux of its stage.
    virtual void contribute(ir::Id id, const ir::Node& n);
    /// The element of a parameter that an access touches.
    virtual std::string element(ir::Id id);
    virtual std::string extent(const ir::Node& n);
    /// An array that is made where the node stands.
    virtual void allocate(ir::Id id, const ir::Node& n);
    /// What ends an iteration, outside of loops and within one that is a part of it.
    virtual std::string_view end_of_iteration(bool in_loop) const;

    // --- names ---

    /// A name like this one that nothing else has.
    std::string unique(std::string name);
    std::string fresh(char letter) { return unique(fmt::format("{}{}", letter, counter_++)); }
    const std::string& slot_name(std::uint32_t slot) const { return slots_[slot]; }

    // --- text ---

    template <class... A> void line(fmt::format_string<A...> format, A&&... args) {
        body_.append(4 * indent_, ' ');
        fmt::format_to(std::back_inserter(body_), format, std::forward<A>(args)...);
        body_ += '\n';
    }
    /// A line that opens a block, and one that closes it.
    template <class... A> void open(fmt::format_string<A...> format, A&&... args) {
        line("{} {{", fmt::format(format, std::forward<A>(args)...));
        ++indent_;
    }
    void open_body() {
        line("{{");
        ++indent_;
    }
    void close(std::string_view behind = "") {
        --indent_;
        line("}}{}", behind);
    }
    static std::string_view type(DType t) { return info(t).cuda; }
    /// Of elements in memory: any byte of a bool but 0 is true, and C++'s bool knows 0 and 1 alone.
    static std::string_view stored(DType t) { return is_bool(t) ? "unsigned char" : type(t); }
    std::string literal(const Scalar& value, DType t) const;

    /// The head of the function, with `first` parameters in front and `last` ones behind those of
    /// the kernel that the body uses.
    std::string signature(std::vector<CudaParameter> first, std::vector<CudaParameter> last);
    /// The parameters that it has given a head.
    std::vector<CudaParameter> parameters_;

    // --- values and nodes ---

    std::string value(ir::Id id);
    std::string operand(ir::Id id, std::size_t i) { return value(kernel_.operand(id, i)); }
    void name_value(ir::Id id, std::string name) { names_[id] = std::move(name); }
    void block(ir::Id block);
    void node(ir::Id id);
    /// What `first` and `second` are under the operation of a reduction, in its dtype.
    std::string combined(ir::Reduction reduction, DType t, const std::string& first,
                         const std::string& second) const;
    /// Declares variables for slots: those of `which` that a launch gives no place.
    void declare_slots(const std::vector<std::uint32_t>& which);
    std::vector<std::uint32_t> slots_in(ir::Id block) const;
    /// `nothing_to_do`: the statement for no iterations.
    void preload_uniforms(ir::Id block, std::string_view nothing_to_do = "return");
    bool has_inner_return(ir::Id block) const;

    // --- vectors of elements (wide.h) ---

    /// Decides about them, for iterations in groups that begin at multiples of all of `divides`. From then
    /// on the body has names for its elements, and stands in a function that gets them.
    bool find_wide(ir::Id body, std::initializer_list<std::int64_t> divides = {});
    std::int64_t width() const { return wide_.width; }
    /// ", const float x_i, float& z_i".
    std::string element_parameters() const;
    /// The same of iteration `i`, in memory.
    std::string elements(std::string_view i) const;
    /// The same of iteration `j` of those whose vectors are loaded.
    std::string elements_of_vectors(std::string_view j) const;
    /// Whether addresses allow vectors.
    std::string are_aligned() const;
    void load_vectors(std::string_view number);
    void store_vectors(std::string_view number);

    /// Slot `slot` is in memory, where parameter `param` points.
    void place_slot(std::uint32_t slot, std::size_t param);

    const ir::Kernel& kernel_;
    const std::string entry_;
    std::string head_ = "extern \"C\" __global__ void";  ///< before the name
    std::string body_;
    std::size_t indent_ = 0;
    std::vector<std::string> params_;

  private:
    void name_everything();
    std::string declaration(const CudaParameter& p) const;
    std::string expression(ir::Op op, DType t, DType result,
                           const std::vector<std::string>& operands) const;
    std::string operation(ir::Id id);
    std::string conversion(ir::Id id);
    std::string slot(ir::Id id, bool has_position);
    std::string atomic(ir::Id id, const ir::Node& n);
    std::string exchange(ir::Id id, const ir::Node& n);
    std::string simt(ir::Id id, const ir::Node& n);
    void define(ir::Id id, const std::string& expression);
    void load_element(ir::Id id, const ir::Node& n);
    [[noreturn]] void refuse(const ir::Node& n, const ir::NodeInfo& kind) const;
    void comment_line(const ir::Node& n);
    void nested(ir::Id inner);
    void branch(ir::Id id, const ir::Node& n);
    void loop(ir::Id id, const ir::Node& n);
    void loop_while(ir::Id id, const ir::Node& n);

    std::vector<bool> by_value_;
    std::vector<std::string> names_;  // per node
    std::string vector_type(const WideArray& a) const;
    const std::string& vector(const WideArray& a) const { return vectors_[a.param]; }

    WideAccess wide_;
    // Per parameter: its element of an iteration that gets it, and the vector of those of several.
    std::vector<std::string> elements_, vectors_;
    std::vector<std::string> slots_, uniforms_;
    std::vector<bool> placed_;  // per slot
    struct Used {
        bool data = false;
        std::vector<bool> strides, extents;  // per axis
    };
    std::vector<Used> uses_;  // per parameter
    std::unordered_set<std::string> used_;
    unsigned sites_ = 0;
    unsigned counter_ = 0;
    unsigned loops_ = 0;  // loops around the node that is being emitted
    std::uint32_t shown_loc_ = 0;

  protected:
    std::string stride_name(std::size_t p, std::size_t axis) const;
    std::string extent_name(std::size_t p, std::size_t axis) const;
    Used& use(std::size_t p) { return uses_[p]; }
    bool is_value(std::size_t p) const {
        return kernel_.params[p].access == ir::Access::value || by_value_[p];
    }
};

/// The texts of forms: functions, and what they are called with.
struct CudaTexts {
    std::string text;
    std::vector<CudaFunction> functions;
};
CudaTexts map_text(const ir::Kernel& kernel, const std::string& entry,
                   const std::vector<bool>& by_value);
CudaTexts reduce_text(const ir::Kernel& kernel, const std::string& entry,
                      const std::vector<bool>& by_value, std::int64_t block);
CudaTexts scan_text(const ir::Kernel& kernel, const std::string& entry,
                    const std::vector<bool>& by_value);
CudaTexts threads_text(const ir::Kernel& kernel, const std::string& entry,
                       const CodeOptions& options);
CudaTexts loop_text(const ir::Kernel& kernel, const std::string& entry, const ir::Launch& launch);

}  // namespace kiln::codegen
