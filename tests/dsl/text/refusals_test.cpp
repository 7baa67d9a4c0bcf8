// What kernels cannot do is refused with the construct, its line and a caret.
#include "tests/catch.h"

#include <kiln/kiln.h>
#include <kiln/text.h>

#include <string>

using namespace kiln;

namespace {

template <class F> std::string told_by(F f) {
    try {
        f();
    } catch (const Error& error) {
        return error.what();
    }
    return "no error";
}
std::string vectorized(const char* text, ArgType type = f64[1]) {
    return told_by([&] { text::vectorize(text, "f").inspect(Artifact::ir, {type}); });
}
std::string looped(const char* text, ArgType type = f64[1]) {
    return told_by([&] { text::jit(text, "f").inspect(Artifact::ir, {type}); });
}

}  // namespace

TEST_CASE("text: what kernels do not have", "[dsl][text]") {
    CHECK(vectorized(R"(double f(double x) {
    if (x < 0) throw 1;
    return x;
})") == R"(text:2: error: kernels have no exceptions (return a value that says what was wrong)
    if (x < 0) throw 1;
               ^)");
    CHECK(vectorized(R"(double f(double x) {
    try { x += 1; } catch (...) { x = 0; }
    return x;
})") == R"(text:2: error: kernels have no exceptions (return a value that says what was wrong)
    try { x += 1; } catch (...) { x = 0; }
    ^)");
    CHECK(vectorized(R"(double f(double x) {
again:
    x += 1;
    if (x < 3) goto again;
    return x;
})") == R"(text:2: error: kernels have no goto (write a loop with break or continue)
again:
^)");
    CHECK(vectorized(R"(int f(int x) {
    return x < 2 ? 1 : x * f(x - 1);
})",
                     i32[1]) ==
          R"(text:2: error: f calls itself (functions become part of the kernel: write a loop)
    return x < 2 ? 1 : x * f(x - 1);
                           ^)");
    CHECK(vectorized(R"(double f(double x) {
    double* p = &x;
    return *p;
})") == R"(text:2: error: kernels have no pointers (use a reference or an index)
    double* p = &x;
            ^)");
    CHECK(vectorized(R"(double g(double* p) { return *p; }
double f(double x) {
    return g(&x);
})") == R"(text:3: error: kernels have no pointers (pass a reference)
    return g(&x);
             ^)");
    CHECK(vectorized(R"(double f(double x) {
    auto g = [x](double y) mutable { return x += y; };
    return g(1);
})") == R"(text:2: error: a lambda that changes its copies (capture by reference what it changes)
    auto g = [x](double y) mutable { return x += y; };
             ^)");
    CHECK(vectorized(R"(struct S {
    virtual double g(double x) { return x; }
};
double f(double x) {
    S s;
    return s.g(x);
})") == R"(text:6: error: g is a virtual function (kernels call functions that are known when they are compiled)
    return s.g(x);
             ^)");
    CHECK(vectorized(R"(struct B { double x; };
struct S : B { double y; };
double f(double x) {
    S s;
    s.y = x;
    return s.y;
})") == R"(text:4: error: kernels have no classes with bases (make what is inherited a member)
    S s;
      ^)");
    CHECK(vectorized(R"(union U { double x; long n; };
double f(double x) {
    U u;
    u.x = x;
    return u.x;
})") == R"(text:3: error: kernels have no unions (make a struct of its members)
    U u;
      ^)");
    CHECK(vectorized(R"(double total = 0;
double f(double x) {
    total += x;
    return total;
})") == R"(text:3: error: total is a variable outside of the kernel (what changes is a parameter; make it constexpr if it never does)
    total += x;
    ^)");
    CHECK(vectorized(R"(double f(double x) {
    static int calls = 0;
    return x + ++calls;
})") == R"(text:2: error: a variable that stays from call to call (kernels have no static variables)
    static int calls = 0;
               ^)");
    CHECK(vectorized(R"(double f(double x) {
    long double y = x;
    return y;
})") == R"(text:2: error: kernels have no numbers of type long double
    long double y = x;
                ^)");
    CHECK(vectorized(R"(double f(double x) {
    volatile double y = x;
    return y;
})") == R"(text:2: error: kernels have no volatile variables (leave out volatile)
    volatile double y = x;
                    ^)");
    CHECK(vectorized(R"(const char* g() { return "x"; }
double f(double x) {
    return g()[0] + x;
})") == R"(text:3: error: kernels have no pointers (index an array or a View)
    return g()[0] + x;
           ^)");
    CHECK(vectorized(R"(double g(double x);
double f(double x) {
    return g(x);
})") == R"(text:3: error: g has no body in the text (functions become part of the kernel: define it there)
    return g(x);
           ^)");
    CHECK(vectorized(R"(double f(double x) {
    return reinterpret_cast<long&>(x);
})") == R"(text:2: error: kernels do not look at a number as another type (convert by static_cast)
    return reinterpret_cast<long&>(x);
           ^)");
    CHECK(vectorized(R"(double f(double x) {
    double a[100] = {};
    a[1] = x;
    return a[1];
})") == R"(text:2: error: an array of 100 elements in an element-wise kernel (at most 64; text::jit has larger ones)
    double a[100] = {};
           ^)");
    CHECK(vectorized(R"(double f(double x) {
    double a[4] = {};
    a[4] = x;
    return a[1];
})") == R"(text:3: error: index 4 is outside of an array of 4 elements
    a[4] = x;
      ^)");
    CHECK(vectorized(R"(double f(double x) {
    new double(x);
    return x;
})") == R"(text:2: error: kernels do not allocate memory (use an array of constant size)
    new double(x);
    ^)");
    CHECK(vectorized(R"(double f(double x) {
    "of x";
    return x;
})") == R"(text:2: error: kernels have no text (tell cases apart by numbers)
    "of x";
    ^)");
    CHECK(vectorized(R"(double f(double x) {
    const_cast<double&>(x) = 1;
    return x;
})") == R"(text:2: error: kernels keep what is const (declare it without const)
    const_cast<double&>(x) = 1;
    ^)");
    CHECK(vectorized(R"(struct V { virtual double g() { return 1; } };
struct W : V {};
double f(double x) {
    V v;
    dynamic_cast<W&>(v);
    return x;
})") == R"(text:5: error: kernels have no types at run time (write a template, or if constexpr)
    dynamic_cast<W&>(v);
    ^)");
    CHECK(vectorized(R"(double f(double x) {
    return x ?: 1;
})") == R"(text:2: error: a conditional without a middle (write a ? a : b)
    return x ?: 1;
           ^)");
    CHECK(vectorized(R"(double f(double x) {
    asm("nop");
    return x;
})") == R"(text:2: error: kernels have no assembly (write it in C++)
    asm("nop");
    ^)");
    CHECK(
        vectorized(R"(int f(int n) {
    int r = 0;
    switch (n) {
        case 0: do { ++r;
        case 1: ++r; } while (r < 3);
    }
    return r;
})",
                   i32[1]) ==
        R"(text:5: error: a case that stands inside of another statement of its switch (labels belong to the switch itself)
        case 1: ++r; } while (r < 3);
        ^)");
}

TEST_CASE("text: pointers to functions that are not known", "[dsl][text]") {
    CHECK(vectorized(R"(double half(double x) { return x / 2; }
double f(double x) {
    double (*g)(double) = half;
    g = nullptr;
    return g(x);
})") == R"(text:3: error: a pointer to a function that changes (kernels call functions that are known when they are compiled)
    double (*g)(double) = half;
             ^)");
    CHECK(vectorized(R"(double half(double x) { return x / 2; }
double twice(double x) { return x * 2; }
double f(double x) {
    return (x < 0 ? half : twice)(x);
})") == R"(text:4: error: kernels call functions that are known when they are compiled
    return (x < 0 ? half : twice)(x);
            ^)");
}

TEST_CASE("text: what Clang says", "[dsl][text]") {
    CHECK(vectorized(R"(double f(double x) {
    return x + ;
})") == R"(text:2: error: expected expression
    return x + ;
               ^)");
    CHECK(vectorized(R"(double f(double x) {
    return sine(x);
})") == R"(text:2: error: use of undeclared identifier 'sine'
    return sine(x);
           ^)");
    CHECK(vectorized(R"(float f(float x) { return x; }
long f(long x, long y) { return x; }
)") == R"(text:2: error: functions of the name f differ in what they take and give (give those that become kernels names of their own)
long f(long x, long y) { return x; }
     ^)");
    CHECK(vectorized(R"(#include <vector>
double f(double x) { return x; })") == R"(text:1: error: 'vector' file not found
#include <vector>
         ^)");
    CHECK(vectorized(R"(template <class T> T f(T x) {
    static_assert(sizeof(T) == 4, "needs 4 bytes");
    return x;
})") == R"(text:2: error: static assertion failed due to requirement 'sizeof(double) == 4': needs 4 bytes
    static_assert(sizeof(T) == 4, "needs 4 bytes");
                  ^
text:2: note: expression evaluates to '8 == 4'
    static_assert(sizeof(T) == 4, "needs 4 bytes");
                            ^)");
    CHECK(vectorized(R"(int f(int n) {
    if (n > 0) return 1;
})",
                     i32[1]) ==
          R"(text:3: error: non-void function does not return a value in all control paths
}
^)");
}

TEST_CASE("text: arrays and loops", "[dsl][text]") {
    CHECK(looped(R"(void f(View<double, 2> a) {
    a(0) = 1;
})",
                 f64[2]) == R"(text:2: error: a has 2 dimensions, but 1 subscript is given
    a(0) = 1;
    ^)");
    CHECK(looped(R"(void f(View<const double, 1> a) {
    a(0) = 1;
})") == R"(text:2: error: cannot assign to return value because function 'operator()<int>' returns a const value
    a(0) = 1;
         ^)");
    CHECK(looped(R"(void f(View<double, 1> a) {
    a(-1) = 1;
})") == R"(text:2: error: index -1 is outside of a (negative indices do not count from the end: write a.extent(0) - 1)
    a(-1) = 1;
      ^)");
    CHECK(looped(R"(void f(View<double, 1> a) {
    a(1.5) = 1;
})") == R"(text:2: error: a subscript is double, not an integer (write static_cast<long>(...))
    a(1.5) = 1;
      ^)");
    CHECK(looped(R"(void f(View<double, 1> a) {
    a(0) = a.extent(1);
})") == R"(text:2: error: there is no dimension 1 of 1
    a(0) = a.extent(1);
                    ^)");
    CHECK(looped(R"(void f(View<double, 1> a) {
    for (long i : prange(a.extent(0))) {
        if (i > 3) return;
        a(i) = i;
    }
})") == R"(text:3: error: return would leave a prange (its iterations are independent; use range, or continue)
        if (i > 3) return;
                   ^)");
    CHECK(looped(R"(void f(View<double, 1> a) {
    for (long i : prange(a.extent(0))) {
        if (i > 3) break;
        a(i) = i;
    }
})") == R"(text:3: error: break would leave a prange (its iterations are independent; use range, or continue)
        if (i > 3) break;
                   ^)");
    CHECK(looped(R"(void f(View<double, 1> a) {
    for (long i : range(0, 3, 0)) a(i) = 1;
})") == R"(text:2: error: the step of a range must not be 0
    for (long i : range(0, 3, 0)) a(i) = 1;
                  ^)");
}
