// Shared ownership and callables in public headers: who destroys what, and when.
#include "tests/catch.h"

#include <kiln/array.h>
#include <kiln/function.h>
#include <kiln/shared.h>

#include <memory>
#include <span>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

using kiln::Array;
using kiln::share;
using kiln::Shared;
using kiln::detail::Function;

namespace {
/// Counts how many are there.
struct Alive {
    int* count;
    int value;
    Alive(int* count, int value) : count(count), value(value) { ++*count; }
    Alive(const Alive& other) : count(other.count), value(other.value) { ++*count; }
    ~Alive() { --*count; }
};
}  // namespace

TEST_CASE("the last of several owners destroys what they share", "[runtime][shared]") {
    int alive = 0;
    {
        Shared<Alive> a = share<Alive>(&alive, 3);
        REQUIRE(alive == 1);
        CHECK(a->value == 3);
        CHECK((*a).value == 3);
        Shared<const Alive> b = a;
        Shared<const void> c = std::move(b);
        CHECK(b == nullptr);  // NOLINT(bugprone-use-after-move): null from then on
        CHECK(c.get() == a.get());
        a = nullptr;
        CHECK(a.get() == nullptr);
        CHECK(!a);
        CHECK(alive == 1);
        Shared<const void>& same = c;
        c = same;
        CHECK(alive == 1);
        c = std::move(same);
        CHECK(alive == 1);
        c = share<Alive>(&alive, 4);
        CHECK(alive == 1);
    }
    CHECK(alive == 0);
}

TEST_CASE("other owners are held as they are", "[runtime][shared]") {
    int alive = 0;
    auto owner = std::make_shared<Alive>(&alive, 1);
    Shared<void> first(owner);
    CHECK(owner.use_count() == 2);
    const Shared<void> second = first;
    CHECK(owner.use_count() == 2);  // copies share the one that is held
    CHECK(second.get() == owner.get());
    const std::weak_ptr<Alive> seen = owner;
    owner.reset();
    first = {};
    CHECK(!seen.expired());
    CHECK(alive == 1);

    auto unique = std::make_unique<Alive>(&alive, 2);
    {
        const Shared<Alive> taken(std::move(unique));
        CHECK(alive == 2);
        CHECK(taken->value == 2);
    }
    CHECK(alive == 1);
    CHECK(Shared<void>(std::shared_ptr<int>()) == nullptr);
    CHECK(Shared<void>(std::unique_ptr<int>()) == nullptr);
}

TEST_CASE("arrays hold any owner", "[runtime][shared]") {
    int alive = 0;
    Array view;
    {
        std::vector<double> data{1, 2, 3};
        auto owner = std::make_shared<std::pair<std::vector<double>, Alive>>(std::move(data),
                                                                             Alive(&alive, 0));
        const Array all = Array::from_memory(owner->first.data(), kiln::f64, {3}, {8}, owner);
        view = all(kiln::Slice{.start = 1});
    }
    CHECK(alive == 1);
    CHECK(view.at<double>({1}) == 3);
    view = Array();
    CHECK(alive == 0);
}

TEST_CASE("threads copy and let go at the same time", "[runtime][shared]") {
    int alive = 0;
    {
        const Shared<Alive> shared = share<Alive>(&alive, 7);
        std::vector<std::thread> threads;
        std::vector<long> sums(4);
        for (long& sum : sums)
            threads.emplace_back([&sum, mine = shared] {
                for (int i = 0; i < 20'000; ++i) {
                    const Shared<const Alive> copy = mine;
                    sum += copy->value;
                }
            });
        for (std::thread& thread : threads) thread.join();
        for (const long sum : sums) CHECK(sum == 140'000);
        CHECK(alive == 1);
    }
    CHECK(alive == 0);
}

TEST_CASE("only what converts by itself becomes a shared pointer", "[runtime][shared]") {
    struct Base {};
    struct Derived : Base {};
    STATIC_REQUIRE(std::is_convertible_v<std::shared_ptr<Derived>, Shared<Base>>);
    STATIC_REQUIRE(std::is_convertible_v<Shared<Derived>, Shared<Base>>);
    STATIC_REQUIRE(!std::is_convertible_v<std::shared_ptr<Base>, Shared<Derived>>);
    STATIC_REQUIRE(!std::is_convertible_v<Shared<Base>, Shared<Derived>>);
    STATIC_REQUIRE(!std::is_convertible_v<std::shared_ptr<const Base>, Shared<Base>>);
    STATIC_REQUIRE(!std::is_convertible_v<Shared<void>, Shared<int>>);
}

TEST_CASE("copies of a function have their own callable", "[runtime][shared]") {
    int alive = 0;
    {
        Function<int(int, std::string&)> f;
        CHECK(f == nullptr);
        CHECK(Function<int(int, std::string&)>(f) == nullptr);
        f = [state = Alive(&alive, 1)](int x, std::string& text) mutable {
            text += "x";
            return state.value += x;
        };
        CHECK(alive == 1);
        auto g = f;
        CHECK(alive == 2);
        std::string text;
        CHECK(f(2, text) == 3);
        CHECK(g(4, text) == 5);
        CHECK(text == "xx");
        f = nullptr;
        CHECK(alive == 1);
        CHECK(!f);
        f = std::move(g);
        CHECK(alive == 1);
        CHECK(f(1, text) == 6);
    }
    CHECK(alive == 0);
}
