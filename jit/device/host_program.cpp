#include "jit/device/host_program.h"

#include "codegen/analysis/loop_facts.h"
#include "dsl/ir/combines.h"
#include "dsl/ir/dispatch.h"
#include "dsl/ir/evaluate.h"
#include "dsl/ir/walk.h"
#include "runtime/integers.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>
#include <memory>
#include <stdexcept>

namespace kiln::engine {
namespace {

using namespace ir;
using codegen::CudaFunction;
using codegen::CudaLaunch;
using codegen::CudaModule;
using codegen::CudaParameter;

/// Iterations of a counted loop.
std::int64_t trip_count(std::int64_t begin, std::int64_t end, std::int64_t step) {
    if (step == 0 || (step > 0 ? begin >= end : begin <= end)) return 0;
    const auto distance = step > 0
                              ? static_cast<std::uint64_t>(end) - static_cast<std::uint64_t>(begin)
                              : static_cast<std::uint64_t>(begin) - static_cast<std::uint64_t>(end);
    const std::uint64_t size =
        step > 0 ? static_cast<std::uint64_t>(step) : 0 - static_cast<std::uint64_t>(step);
    return static_cast<std::int64_t>((distance - 1) / size + 1);
}

/// Memory of the device for a scope.
class Buffer {
  public:
    Buffer(LaunchDevice& device, std::int64_t bytes)
        : device_(device),
          data_(device.allocate(static_cast<std::size_t>(std::max<std::int64_t>(bytes, 1)))) {}
    ~Buffer() {
        if (data_ != nullptr) device_.deallocate(data_);
    }
    /// The caller of the program frees it.
    void release() { data_ = nullptr; }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    std::byte* data() const { return data_; }

  private:
    LaunchDevice& device_;
    std::byte* data_;
};

/// A sum of floats in a serial loop: see ir::Tree.
class LoopSum {
  public:
    LoopSum(const Scalar& before, std::int64_t block) : before_(before), block_(block) {}
    /// Where an iteration begins: what the one before it left, and what this one begins with.
    void next(Scalar& s) {
        if (begun_) take(s);
        begun_ = true;
        s = neutral(Reduction::sum, before_.dtype);
    }
    void end(Scalar& s) {
        if (begun_) {
            take(s);
            if (in_block_ > 0) push();
            std::optional<Scalar> all;
            for (std::size_t level = 0; level < blocks_.size(); ++level) {
                if ((count_ >> level & 1) == 0) continue;
                all = all ? combine(Reduction::sum, blocks_[level], *all) : blocks_[level];
            }
            before_ = combine(Reduction::sum, before_, *all);
        }
        s = before_;
    }

  private:
    void take(const Scalar& s) {
        own_ = in_block_ == 0 ? s : combine(Reduction::sum, own_, s);
        if (++in_block_ == block_) push();
    }
    void push() {
        std::size_t level = 0;
        for (; (count_ >> level & 1) != 0; ++level)
            own_ = combine(Reduction::sum, blocks_[level], own_);
        if (level == blocks_.size()) blocks_.push_back(own_);
        blocks_[level] = own_;
        ++count_;
        in_block_ = 0;
    }

    Scalar before_, own_;
    std::vector<Scalar> blocks_;
    std::uint64_t count_ = 0;
    std::int64_t block_, in_block_ = 0;
    bool begun_ = false;
};

class HostProgram {
  public:
    HostProgram(const Kernel& kernel, const CudaModule& module, LaunchDevice& device,
                const Geometry& geometry, std::span<DeviceArgument> arguments)
        : kernel_(kernel),
          module_(module),
          device_(device),
          geometry_(geometry),
          arguments_(arguments),
          values_(kernel.nodes.size()) {
        for (const Slot& s : kernel.slots)
            slots_.push_back(Scalar::of(std::int64_t(0)).cast(s.dtype));
        places_.resize(kernel.slots.size());
        made_.resize(kernel.params.size());
    }

    /// What is not given back is freed here, and seen by nobody.
    ~HostProgram() {
        for (std::size_t p = 0; p < made_.size(); ++p)
            if (made_[p] != nullptr && made_[p]->data() != nullptr) arguments_[p].data = nullptr;
    }
    HostProgram(const HostProgram&) = delete;
    HostProgram& operator=(const HostProgram&) = delete;

    std::optional<DeviceFault> run() {
        block(kernel_.stages[0].body);
        for (std::size_t p = 0; p < made_.size(); ++p)
            if (kernel_.params[p].access == Access::result && made_[p] != nullptr)
                made_[p]->release();
        return fault_;
    }

  private:
    enum class Flow : std::uint8_t { on, breaks, continues, returns };

    // --- values ---

    Scalar value(Id id) const {
        const Node& n = kernel_.node(id);
        return leaf_or(
            n,
            Handlers{
                [&](Of<NodeKind::constant>) { return kernel_.constant(id); },
                [&](Of<NodeKind::param>) { return arguments_[n.aux].scalar; },
                [&](Of<NodeKind::extent>) { return Scalar::of(arguments_[n.aux].extents[n.aux2]); },
                // The stage of a program has no extents.
                [&](Of<NodeKind::index>) -> Scalar { throw std::logic_error("index"); },
            },
            [&] { return values_[id]; });
    }
    Scalar operand(Id id, std::size_t i) const { return value(kernel_.operand(id, i)); }
    std::int64_t integer(Id id) const { return value(id).cast(DType::i64).get<std::int64_t>(); }

    std::byte* element(std::uint32_t p, std::span<const Id> subscripts) const {
        std::byte* at = arguments_[p].data;
        for (std::size_t d = 0; d < subscripts.size(); ++d)
            at += integer(subscripts[d]) * arguments_[p].strides[d];
        return at;
    }
    Scalar fetched(const std::byte* from, DType t) const {
        Scalar s = Scalar::of(std::int64_t(0)).cast(t);
        device_.read(s.bytes.data(), from, size_of(t));
        if (is_bool(t)) s.bytes[0] = std::byte(s.bytes[0] != std::byte(0));  // any other is true
        return s;
    }
    void put(std::byte* to, const Scalar& s) const {
        device_.write(to, s.bytes.data(), size_of(s.dtype));
    }

    /// Elements of a slot that is an array live on the device.
    std::byte* place(std::uint32_t slot) {
        auto& at = places_[slot];
        const Slot& s = kernel_.slots[slot];
        const auto bytes = static_cast<std::int64_t>(s.length * size_of(s.dtype));
        if (at == nullptr) {
            at = std::make_unique<Buffer>(device_, bytes);
            const std::vector<std::byte> zeros(static_cast<std::size_t>(bytes));
            device_.write(at->data(), zeros.data(), zeros.size());
        }
        return at->data();
    }

    /// What an op or cast gives.
    static Scalar computed(const Node& n, std::span<const Scalar> x) {
        return n.kind == NodeKind::cast ? x[0].cast(n.dtype) : evaluate(n.op, n.dtype, x).value();
    }

    // --- statements ---

    Flow block(Id id) {
        for (const Id n : kernel_.blocks[id].nodes)
            if (const Flow flow = node(n, kernel_.node(n)); flow != Flow::on) return flow;
        return Flow::on;
    }

    Flow node(Id id, const Node& n) {
        constexpr effect::Mask on_host = effect::accesses | effect::allocates | effect::atomically |
                                         effect::checks | effect::branches | effect::loops |
                                         effect::launches | effect::jumps;
        return dispatch<on_host>(
            n,
            Handlers{
                [&](Leaf) { return Flow::on; },
                [&](Of<NodeKind::op, NodeKind::cast>) { return compute(id, n); },
                [&](Of<NodeKind::load>) {
                    values_[id] = fetched(element(n.aux, kernel_.operands_of(n)),
                                          kernel_.params[n.aux].dtype);
                    return Flow::on;
                },
                [&](Of<NodeKind::store>) {
                    const auto x = kernel_.operands_of(n);
                    put(element(n.aux, x.first(x.size() - 1)), value(x.back()));
                    return Flow::on;
                },
                [&](Of<NodeKind::read, NodeKind::write>) { return access(id, n); },
                [&](Of<NodeKind::atomic>) { return atomic(id, n); },
                [&](Of<NodeKind::check>) {
                    if (operand(id, 0).get<bool>()) return Flow::on;
                    report(id, n);
                    return Flow::returns;
                },
                [&](Of<NodeKind::branch>) {
                    if (operand(id, 0).get<bool>()) return block(n.aux);
                    return n.aux2 == none ? Flow::on : block(n.aux2);
                },
                [&](Of<NodeKind::loop>) { return loop(id, n); },
                [&](Of<NodeKind::loop_while>) { return loop_while(id, n); },
                [&](Of<NodeKind::launch>) { return launch(id, n); },
                [&](Of<NodeKind::break_>) { return Flow::breaks; },
                [&](Of<NodeKind::continue_>) { return Flow::continues; },
                [&](Of<NodeKind::return_>) { return Flow::returns; },
                [&](Of<NodeKind::allocate>) { return allocate(n); },
            },
            [&](const NodeInfo& kind) {
                throw Error(ErrorKind::internal,
                            "no program of a device has a " + std::string(kind.word),
                            kernel_.location(n.loc));
            });
    }

    Flow compute(Id id, const Node& n) {
        std::vector<Scalar> x;
        for (const Id o : kernel_.operands_of(n)) x.push_back(value(o));
        values_[id] = computed(n, x);
        return Flow::on;
    }

    Flow access(Id id, const Node& n) {
        const Slot& slot = kernel_.slots[n.aux];
        const bool writes = n.kind == NodeKind::write;
        if (slot.length == 1) {
            if (writes)
                slots_[n.aux] = operand(id, n.operand_count - 1U);
            else
                values_[id] = slots_[n.aux];
            return Flow::on;
        }
        std::byte* const at = place(n.aux) + integer(kernel_.operand(id, 0)) *
                                                 static_cast<std::int64_t>(size_of(slot.dtype));
        if (writes)
            put(at, operand(id, 1));
        else
            values_[id] = fetched(at, slot.dtype);
        return Flow::on;
    }

    void report(Id id, const Node& n) {
        fault_ = DeviceFault{{static_cast<Check>(n.aux), n.loc}};
        if (static_cast<Check>(n.aux) != Check::shapes) return;
        for (std::size_t x = 1; x < n.operand_count; ++x)
            (x <= n.imm ? fault_->first : fault_->second)
                .push_back(integer(kernel_.operand(id, x)));
    }

    Flow atomic(Id id, const Node& n) {
        const auto x = kernel_.operands_of(n);
        std::byte* const at = element(n.aux, x.first(x.size() - 1));
        values_[id] = fetched(at, kernel_.params[n.aux].dtype);
        put(at, combine(static_cast<Reduction>(n.aux2), values_[id], value(x.back())));
        return Flow::on;
    }

    Flow loop(Id id, const Node& n) {
        const std::int64_t begin = integer(kernel_.operand(id, 0)),
                           step = integer(kernel_.operand(id, 2)),
                           trip = trip_count(begin, integer(kernel_.operand(id, 1)), step);
        std::vector<std::pair<std::uint32_t, LoopSum>> sums;
        if (const Tree* tree = kernel_.tree(n))
            for (const std::uint32_t s : tree->sums)
                sums.emplace_back(s, LoopSum(slots_[s], tree->block));
        Flow flow = Flow::on;
        for (std::int64_t k = 0; k < trip && flow == Flow::on; ++k) {
            values_[id] = Scalar::of(begin + k * step);
            for (auto& [slot, sum] : sums) sum.next(slots_[slot]);
            flow = block(n.aux);
            if (flow == Flow::continues) flow = Flow::on;
        }
        for (auto& [slot, sum] : sums) sum.end(slots_[slot]);
        return flow == Flow::breaks ? Flow::on : flow;
    }

    Flow loop_while(Id id, const Node& n) {
        for (;;) {
            if (const Flow flow = block(n.aux); flow != Flow::on) return flow;
            if (!operand(id, 0).get<bool>()) return Flow::on;
            const Flow flow = block(n.aux2);
            if (flow == Flow::breaks) return Flow::on;
            if (flow == Flow::returns) return flow;
        }
    }

    /// An array of C order.
    Flow allocate(const Node& n) {
        const Param& p = kernel_.params[n.aux];
        DeviceArgument& a = arguments_[n.aux];
        a.extents.assign(p.rank, 0);
        a.strides.assign(p.rank, 0);
        std::int64_t bytes = static_cast<std::int64_t>(size_of(p.dtype));
        for (std::size_t d = p.rank; d-- > 0;) {
            a.extents[d] = integer(kernel_.operands_of(n)[d]);
            if (a.extents[d] < 0)
                throw Error(ErrorKind::shape,
                            "an array of extent " + std::to_string(a.extents[d]) +
                                " in dimension " + std::to_string(d),
                            kernel_.location(n.loc), "extents are not negative");
            a.strides[d] = bytes;
            if (__builtin_mul_overflow(bytes, a.extents[d], &bytes))
                throw Error(ErrorKind::shape,
                            "an array of extent " + std::to_string(a.extents[d]) +
                                " in dimension " + std::to_string(d) +
                                " has more bytes than there are addresses",
                            kernel_.location(n.loc));
        }
        made_[n.aux] = std::make_unique<Buffer>(device_, bytes);
        a.data = made_[n.aux]->data();
        return Flow::on;
    }

    // --- launches ---

    /// The iterations of a launch, and how they combine.
    struct Iterations {
        std::int64_t begin = 0, step = 1, trip = 0;
        std::int64_t unit = 0;                 // iterations
        std::int64_t pieces = 0, of_unit = 0;  // partial totals
    };

    /// What a parameter of an outlined kernel is: a value, or elements.
    struct Bound {
        Scalar scalar;
        std::byte* data = nullptr;
        std::vector<std::int64_t> extents, strides;
    };

    Bound bound(const Argument& a, std::span<const Id> x, const Iterations& of) {
        using Kind = Argument::Kind;
        Bound b;
        switch (a.kind) {
            case Kind::value: b.scalar = value(x[0]); break;
            case Kind::first: b.scalar = Scalar::of(of.begin); break;
            case Kind::step: b.scalar = Scalar::of(of.step); break;
            case Kind::carry: b.scalar = slots_[a.target]; break;
            case Kind::total:
            case Kind::state: break;
            case Kind::array: {
                b.data = element(a.target, x);
                std::int64_t stride = 0;
                for (std::size_t d = 0; d < x.size(); ++d)
                    stride += of.step * a.strides[d] * arguments_[a.target].strides[d];
                b.strides = {stride};
                break;
            }
            case Kind::local: {
                const auto size = static_cast<std::int64_t>(size_of(kernel_.slots[a.target].dtype));
                b.data = place(a.target) + integer(x[0]) * size;
                b.strides = {of.step * a.strides[0] * size};
                break;
            }
            case Kind::whole: {
                const DeviceArgument& whole = arguments_[a.target];
                b = {whole.scalar, whole.data, whole.extents, whole.strides};
                break;
            }
            case Kind::place:
                b.data = place(a.target);
                if (kernel_.slots[a.target].length == 1) put(b.data, slots_[a.target]);
                break;
        }
        return b;
    }

    Flow launch(Id id, const Node& n) {
        const Launch& l = kernel_.launches[n.aux];
        const CudaLaunch& texts = module_.launches[n.aux];
        Iterations of;
        of.begin = integer(kernel_.operand(id, 0));
        of.step = integer(kernel_.operand(id, 2));
        of.trip = trip_count(of.begin, integer(kernel_.operand(id, 1)), of.step);
        if (of.trip == 0) return Flow::on;
        std::vector<Bound> all;
        auto operands = kernel_.operands_of(n).subspan(3);
        for (const Argument& a : l.arguments) {
            all.push_back(bound(a, operands.first(a.operands()), of));
            operands = operands.subspan(a.operands());
        }
        const CudaFunction& first = module_.functions[texts.functions[0]];
        switch (first.role) {
            case CudaFunction::Role::map: run(texts.functions[0], of, all, {}, of.trip); break;
            case CudaFunction::Role::blocks: reduce(n, l, texts, of, all); break;
            case CudaFunction::Role::chunks: scan(l, texts, of, all); break;
            case CudaFunction::Role::pairs:
            case CudaFunction::Role::before:
            case CudaFunction::Role::scan:
            case CudaFunction::Role::threads: break;  // follow others; are no launches of a program
        }
        for (const Argument& a : l.arguments)
            if (a.kind == Argument::Kind::place && kernel_.slots[a.target].length == 1)
                slots_[a.target] = fetched(place(a.target), kernel_.slots[a.target].dtype);
        return Flow::on;
    }

    /// `work`: what the threads, or blocks of them, have to share.
    void run(std::size_t function, const Iterations& of, std::span<const Bound> all,
             std::span<std::byte* const> partials, std::int64_t work, std::int64_t count = -1,
             std::int64_t group = 0, std::int64_t apart = 0) {
        const CudaFunction& f = module_.functions[function];
        std::vector<Scalar> values;
        values.reserve(f.parameters.size());
        for (const CudaParameter& p : f.parameters)
            values.push_back(
                parameter(p, of, all, partials, count < 0 ? of.trip : count, group, apart));
        std::vector<void*> addresses;
        for (Scalar& v : values) addresses.push_back(v.bytes.data());
        const bool by_threads = f.role == CudaFunction::Role::map;
        const std::int64_t blocks = by_threads ? detail::ceil_div(work, geometry_.threads) : work;
        device_.launch(function,
                       {.blocks = static_cast<unsigned>(
                            std::clamp<std::int64_t>(blocks, 1, geometry_.most_blocks)),
                        .threads = geometry_.threads},
                       addresses.data());
    }

    Scalar parameter(const CudaParameter& p, const Iterations& of, std::span<const Bound> all,
                     std::span<std::byte* const> partials, std::int64_t count, std::int64_t group,
                     std::int64_t apart) const {
        using Kind = CudaParameter::Kind;
        const auto address = [](const std::byte* at) {
            return Scalar::of(std::bit_cast<std::int64_t>(at));
        };
        switch (p.kind) {
            case Kind::count: return Scalar::of(count);
            case Kind::begin: return Scalar::of(of.begin);
            case Kind::step: return Scalar::of(of.step);
            case Kind::unit: return Scalar::of(of.unit);
            case Kind::group: return Scalar::of(group);
            case Kind::apart: return Scalar::of(apart);
            case Kind::value: return all[p.param].scalar;
            case Kind::data: return address(all[p.param].data);
            case Kind::stride: return Scalar::of(all[p.param].strides[p.axis]);
            case Kind::extent: return Scalar::of(all[p.param].extents[p.axis]);
            case Kind::partials: return address(partials[p.param]);
            case Kind::fault:
            case Kind::base:
            case Kind::row: break;
        }
        throw Error(ErrorKind::unsupported,
                    "checks of the iterations of a parallel loop do not run on a device", {},
                    "leave out .checked, or check on the CPU");
    }

    void reduce(const Node& n, const Launch& l, const CudaLaunch& texts, Iterations& of,
                std::span<const Bound> all) {
        const CudaFunction& blocks = module_.functions[texts.functions[0]];
        const Kernel& launched = kernel_.outlined[l.kernel];
        const bool program = launched.is_program();
        const Tree* const tree =
            program ? launched.tree(launched.node(codegen::launched_loop(launched)))
                    : kernel_.tree(n);
        const std::int64_t block = tree == nullptr ? blocks.piece : tree->block;
        const std::int64_t in_blocks = detail::ceil_div(of.trip, block);
        const std::int64_t units = tree == nullptr || tree->units == 0 ? 1 : tree->units;
        of.unit = std::max<std::int64_t>(1, detail::ceil_div(in_blocks, units)) * block;
        of.of_unit = detail::ceil_div(of.unit, blocks.piece);
        of.pieces =
            of.trip / of.unit * of.of_unit + detail::ceil_div(of.trip % of.unit, blocks.piece);

        std::vector<std::unique_ptr<Buffer>> buffers;
        std::vector<std::byte*> partials;
        for (const std::uint32_t s : texts.totals) {
            const auto size = static_cast<std::int64_t>(size_of(kernel_.slots[s].dtype));
            buffers.push_back(std::make_unique<Buffer>(device_, of.pieces * size));
            partials.push_back(buffers.back()->data());
        }
        run(texts.functions[0], of, all, partials, of.pieces);
        const std::int64_t used = detail::ceil_div(of.pieces, of.of_unit);
        if (of.of_unit > 1)
            run(texts.functions[1], of, all, partials, used, of.pieces, of.of_unit, 1);
        if (used > 1) run(texts.functions[1], of, all, partials, 1, used, used, of.of_unit);
        std::vector<Scalar> totals;
        for (std::size_t t = 0; t < partials.size(); ++t)
            totals.push_back(fetched(partials[t], kernel_.slots[texts.totals[t]].dtype));
        take(reductions_of(l), totals);
    }

    std::vector<StageReduction> reductions_of(const Launch& l) const {
        const Kernel& launched = kernel_.outlined[l.kernel];
        if (launched.is_program())
            return launched.parallel(launched.node(codegen::launched_loop(launched)))->reductions;
        std::vector<StageReduction> list;
        for (const Argument& a : l.arguments)
            if (a.kind == Argument::Kind::total || a.kind == Argument::Kind::state)
                list.push_back({a.reduction, a.target, a.combine});
        return list;
    }

    /// slot = slot op total, states together.
    void take(const std::vector<StageReduction>& reductions, std::span<const Scalar> totals) {
        for (std::size_t r = 0; r < reductions.size(); ++r) {
            Scalar& slot = slots_[reductions[r].target];
            if (reductions[r].combine == none) {
                slot = combine(reductions[r].reduction, slot, totals[r]);
                continue;
            }
            const Kernel& combines = kernel_.combines[reductions[r].combine];
            const std::size_t parts = state_size(combines);
            std::vector<Scalar> both;
            for (std::size_t part = 0; part < parts; ++part)
                both.push_back(slots_[reductions[r + part].target]);
            for (std::size_t part = 0; part < parts; ++part) both.push_back(totals[r + part]);
            const std::vector<Scalar> made = combined(combines, both);
            for (std::size_t part = 0; part < parts; ++part)
                slots_[reductions[r + part].target] = made[part];
            r += parts - 1;
        }
    }

    /// What the second stage of a kernel of form `combine` stores.
    static std::vector<Scalar> combined(const Kernel& k, std::span<const Scalar> both) {
        std::vector<Scalar> values(k.nodes.size());
        const auto value = [&](Id id) {
            const Node& n = k.node(id);
            if (n.kind == NodeKind::constant) return k.constant(id);
            return n.kind == NodeKind::param ? both[n.aux] : values[id];
        };
        for (const Id id : k.blocks[k.stages[1].body].nodes) {
            const Node& n = k.node(id);
            if (n.kind != NodeKind::op && n.kind != NodeKind::cast) continue;
            std::vector<Scalar> x;
            for (const Id o : k.operands_of(n)) x.push_back(value(o));
            values[id] = computed(n, x);
        }
        std::vector<Scalar> made;
        for (const Id part : parts_of(k, CombineStage::combined)) made.push_back(value(part));
        return made;
    }

    void scan(const Launch& l, const CudaLaunch& texts, Iterations& of,
              std::span<const Bound> all) {
        const std::int64_t chunks =
            detail::ceil_div(of.trip, module_.functions[texts.functions[0]].piece);
        const std::size_t out = l.arguments.size() - 1;
        const Argument& carry = l.arguments[out - 1];
        const DType t = kernel_.slots[carry.target].dtype;
        const Buffer totals(device_, chunks * static_cast<std::int64_t>(size_of(t)));
        std::byte* const partials[] = {totals.data()};
        run(texts.functions[0], of, all, partials, chunks);
        run(texts.functions[1], of, all, partials, 1, chunks);
        run(texts.functions[2], of, all, partials, chunks);
        // What a scan stores last is what the variable has then.
        slots_[carry.target] = fetched(all[out].data + (of.trip - 1) * all[out].strides[0], t);
    }

    const Kernel& kernel_;
    const CudaModule& module_;
    LaunchDevice& device_;
    const Geometry geometry_;
    std::span<DeviceArgument> arguments_;
    std::vector<Scalar> values_;                   // per node
    std::vector<Scalar> slots_;                    // those of one element
    std::vector<std::unique_ptr<Buffer>> places_;  // the others, and shared ones
    std::vector<std::unique_ptr<Buffer>> made_;    // per parameter
    std::optional<DeviceFault> fault_;
};

}  // namespace

// Rows are launches of their own.
void run_map(const CudaModule& module, const Kernel& kernel, LaunchDevice& device,
             const Geometry& geometry, const MapFrame* frame) {
    using Kind = CudaParameter::Kind;
    const CudaFunction& f = module.functions[0];
    const auto* const operands = reinterpret_cast<const abi::Operand*>(frame + 1);
    const std::vector<std::int64_t> sites = codegen::cuda_check_sites(kernel);
    constexpr std::uint64_t none_failed = ~std::uint64_t(0);
    std::vector<std::uint64_t> faults(sites.empty() ? 0 : static_cast<std::size_t>(frame->rows),
                                      none_failed);
    const auto bytes = faults.size() * sizeof none_failed;
    std::optional<Buffer> words;
    if (bytes != 0) {
        words.emplace(device, static_cast<std::int64_t>(bytes));
        device.write(words->data(), faults.data(), bytes);
    }
    const std::int64_t blocks = std::clamp<std::int64_t>(
        detail::ceil_div(frame->columns, geometry.threads), 1, geometry.most_blocks);
    std::vector<Scalar> values;
    std::vector<void*> addresses;
    for (std::int64_t row = 0; row < frame->rows; ++row) {
        values.clear();
        addresses.clear();
        for (const CudaParameter& p : f.parameters) {
            const auto address = [](std::byte* at) {
                return Scalar::of(std::bit_cast<std::int64_t>(at));
            };
            if (p.kind == Kind::count)
                values.push_back(Scalar::of(frame->columns));
            else if (p.kind == Kind::fault)
                values.push_back(address(words->data() + row * 8));
            else if (p.kind == Kind::stride)
                values.push_back(Scalar::of(operands[p.param].inner));
            else
                values.push_back(address(operands[p.param].data + row * operands[p.param].outer));
        }
        for (Scalar& v : values) addresses.push_back(v.bytes.data());
        device.launch(0, {.blocks = static_cast<unsigned>(blocks), .threads = geometry.threads},
                      addresses.data());
    }
    if (bytes == 0) return;
    device.read(faults.data(), words->data(), bytes);
    const auto failed = std::ranges::find_if(faults, [](std::uint64_t w) { return w != ~0ull; });
    if (failed == faults.end()) return;
    *frame->fault = {sites[*failed & 0xffff], failed - faults.begin(),
                     static_cast<std::int64_t>(*failed >> 16)};
}

void launch_threads(const CudaModule& module, LaunchDevice& device, const LaunchShape& shape,
                    std::span<const DeviceArgument> arguments) {
    using Kind = CudaParameter::Kind;
    std::vector<Scalar> values;
    for (const CudaParameter& p : module.functions[0].parameters) {
        const DeviceArgument& a = arguments[p.param];
        values.push_back(p.kind == Kind::value    ? a.scalar
                         : p.kind == Kind::stride ? Scalar::of(a.strides[p.axis])
                         : p.kind == Kind::extent
                             ? Scalar::of(a.extents[p.axis])
                             : Scalar::of(std::bit_cast<std::int64_t>(a.data)));
    }
    std::vector<void*> addresses;
    for (Scalar& v : values) addresses.push_back(v.bytes.data());
    device.launch(0, shape, addresses.data());
}

std::optional<DeviceFault> run_host_program(const Kernel& kernel, const CudaModule& module,
                                            LaunchDevice& device, const Geometry& geometry,
                                            std::span<DeviceArgument> arguments) {
    return HostProgram(kernel, module, device, geometry, arguments).run();
}

}  // namespace kiln::engine
