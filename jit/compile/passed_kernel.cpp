#include "jit/compile/passed_kernel.h"

#include <cstring>
#include <type_traits>

namespace kiln::engine {
namespace {

template <class T, class U>
concept Is = std::is_same_v<std::remove_const_t<T>, U>;
/// Without gaps between fields and without pointers: its bytes are its value.
template <class T>
concept Plain = std::is_trivially_copyable_v<T> && std::has_unique_object_representations_v<T>;

// --- the fields of each struct that is not Plain: with a new one, these do not compile ---

template <class A, Is<ir::Param> T> void fields(A& a, T& x) {
    auto& [name, dtype, rank, access, layout, weak] = x;
    a(name, dtype, rank, access, layout, weak);
}
template <class A, Is<ir::Slot> T> void fields(A& a, T& x) {
    auto& [name, dtype, length] = x;
    a(name, dtype, length);
}
template <class A, Is<ir::HostFunction> T> void fields(A& a, T& x) {
    auto& [name, result, params, pure] = x;
    a(name, result, params, pure);
}
template <class A, Is<ir::Block> T> void fields(A& a, T& x) {
    auto& [nodes] = x;
    a(nodes);
}
template <class A, Is<ir::StageReduction> T> void fields(A& a, T& x) {
    auto& [reduction, target, combine] = x;
    a(reduction, target, combine);
}
template <class A, Is<ir::ArrayReduction> T> void fields(A& a, T& x) {
    auto& [reduction, target] = x;
    a(reduction, target);
}
template <class A, Is<ir::ParallelLoop> T> void fields(A& a, T& x) {
    auto& [reductions, schedule, chunk, unsafe_races, arrays] = x;
    a(reductions, schedule, chunk, unsafe_races, arrays);
}
template <class A, Is<ir::Argument> T> void fields(A& a, T& x) {
    auto& [kind, target, reduction, combine, strides] = x;
    a(kind, target, reduction, combine, strides);
}
template <class A, Is<ir::Launch> T> void fields(A& a, T& x) {
    auto& [kernel, arguments, parallel, streams, in_place] = x;
    a(kernel, arguments, parallel, streams, in_place);
}
template <class A, Is<ir::Tree> T> void fields(A& a, T& x) {
    auto& [block, units, sums] = x;
    a(block, units, sums);
}
template <class A, Is<ir::Stage> T> void fields(A& a, T& x) {
    auto& [extents, body, reductions, parallel, loc] = x;
    a(extents, body, reductions, parallel, loc);
}
template <class A, Is<ir::Kernel> T> void fields(A& a, T& x) {
    auto& [name, form, scan, lanes, params, slots, functions, prologue, stages, parallel_loops,
           launches, trees, outlined, combines, blocks, nodes, operands, files, locations] = x;
    a(name, form, scan, lanes, params, slots, functions, prologue, stages, parallel_loops, launches,
      trees, outlined, combines, blocks, nodes, operands, files, locations);
}
template <class A, Is<codegen::PassOptions> T> void fields(A& a, T& x) {
    auto& [target, isa, checked, noalias, verify, fuse, reassociate, strict, plain, threads, large,
           fma, unit_extents, known] = x;
    a(target, isa, checked, noalias, verify, fuse, reassociate, strict, plain, threads, large, fma,
      unit_extents, known);
}
template <class A, Is<PassedKernel> T> void fields(A& a, T& x) {
    auto& [kernel, options, key] = x;
    a(kernel, options, key);
}

class Writer {
  public:
    template <class... Ts> void operator()(const Ts&... all) { (one(all), ...); }
    std::string take() { return std::move(bytes_); }

  private:
    void raw(const void* from, std::size_t size) {
        bytes_.append(static_cast<const char*>(from), size);
    }
    template <Plain T> void one(const T& x) { raw(&x, sizeof x); }
    template <class T>
        requires(!Plain<T>)
    void one(const T& x) {
        fields(*this, x);
    }
    void one(const std::string& x) { many(x); }
    template <class T> void one(const std::vector<T>& x) { many(x); }
    template <class T> void one(const std::optional<T>& x) {
        one(x.has_value());
        if (x) one(*x);
    }
    template <class C> void many(const C& all) {
        one(std::uint64_t(all.size()));
        if constexpr (Plain<typename C::value_type>)
            raw(all.data(), all.size() * sizeof(typename C::value_type));
        else
            for (const auto& x : all) one(x);
    }

    std::string bytes_;
};

class Reader {
  public:
    explicit Reader(std::span<const std::byte> bytes) : left_(bytes) {}
    template <class... Ts> void operator()(Ts&... all) { (one(all), ...); }
    /// All was there, and no more.
    bool is_done() const { return good_ && left_.empty(); }

  private:
    void raw(void* to, std::size_t size) {
        good_ = good_ && size <= left_.size();
        if (!good_ || size == 0) return;
        std::memcpy(to, left_.data(), size);
        left_ = left_.subspan(size);
    }
    template <Plain T> void one(T& x) { raw(&x, sizeof x); }
    template <class T>
        requires(!Plain<T>)
    void one(T& x) {
        fields(*this, x);
    }
    void one(std::string& x) { many(x); }
    template <class T> void one(std::vector<T>& x) { many(x); }
    template <class T> void one(std::optional<T>& x) {
        bool has = false;
        one(has);
        if (has) one(x.emplace());
    }
    template <class C> void many(C& all) {
        std::uint64_t size = 0;
        one(size);
        constexpr std::size_t least =
            Plain<typename C::value_type> ? sizeof(typename C::value_type) : 1;
        good_ = good_ && size <= left_.size() / least;
        if (!good_) return;
        all.resize(size);
        if constexpr (Plain<typename C::value_type>)
            raw(all.data(), size * least);
        else
            for (auto& x : all) one(x);
    }

    std::span<const std::byte> left_;
    bool good_ = true;
};

}  // namespace

std::string passed_key(const LoweringInput& input) {
    const auto& [kernel, passes, code, target] = input;
    Writer bytes;
    bytes(passes, code, kernel);
    return target + "\npasses\n" + bytes.take();
}

std::vector<std::byte> bytes_of(const PassedKernel& passed) {
    Writer bytes;
    bytes(passed);
    const std::string all = bytes.take();
    const auto* const first = reinterpret_cast<const std::byte*>(all.data());
    return {first, first + all.size()};
}

std::optional<PassedKernel> passed_kernel_of(std::span<const std::byte> bytes) {
    PassedKernel passed;
    Reader reader(bytes);
    reader(passed);
    if (!reader.is_done()) return std::nullopt;
    return passed;
}

}  // namespace kiln::engine
