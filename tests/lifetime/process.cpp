// Programs that end, fork and load plugins while kernels are at work: one mode a child process,
// started and watched by the program itself.
//
//     process              runs all modes
//     process MODE ARG     runs one
#include <kiln/kiln.h>

#include <dlfcn.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using namespace kiln;

namespace {

// ------------------------------------------------------------------------------ the end

std::function<void()> at_destruction;
/// Made before anything is compiled, destroyed after most.
const struct Early {
    ~Early() {
        if (at_destruction) at_destruction();
    }
} early;

[[noreturn]] void fail(const char* what) {
    std::fprintf(stderr, "failed: %s\n", what);
    _exit(1);
}
void require(bool right, const char* what) {
    if (!right) fail(what);
}

double three_more(double x) {
    return vectorize("three_more", [](Value v) { return v + 3; }).bind<double(double)>()(x);
}

int first_compile_in_destructor(int) {
    at_destruction = [] { require(three_more(1) == 4, "the first compile, in a destructor"); };
    return 0;
}

int new_kernel_in_destructor(int) {
    require(three_more(2) == 5, "a kernel before the end");
    static const auto known = vectorize([](Value v) { return v * 5; });
    static const auto bound = known.bind<double(double)>();
    at_destruction = [] {
        require(three_more(3) == 6, "a kernel that is there, at the end");
        require(bound(3) == 15, "a bound kernel at the end");
        try {
            vectorize("late", [](Value v) { return v - 11; })(1.0);
            fail("a new kernel was compiled after LLVM's end");
        } catch (const Error& error) {
            require(error.kind() == ErrorKind::usage &&
                        error.message() == "late cannot be compiled: the program is ending" &&
                        error.hint() == "call it before the program ends" &&
                        error.line() == __LINE__ - 6,
                    error.what());
        }
    };
    return 0;
}

void detach(std::function<void(int thread)> body) {
    for (int t = 0; t < 2; ++t) std::thread(body, t).detach();
}

int main_returns_while_threads_compile(int ms) {
    detach([](int thread) {
        for (int i = thread;; i += 2) {
            const double c = i;
            const auto f = vectorize([=](Value x) { return x * 2 + c; });
            if (f.bind<double(double)>()(1) != 2 + c) std::abort();
        }
    });
    usleep(static_cast<useconds_t>(ms) * 1000);
    return 0;
}

template <int number> void call_static() {
    static const auto f = vectorize([](Value x) { return x * number; });
    static const auto bound = f.template bind<double(double)>();
    static const auto twice =
        host_function<double(double)>("twice", [](double v) { return v * 2; }, {.pure = true});
    static const auto g = jit([](In x, Out y) {
        for (Index i : prange(x.extent(0))) y(i) = twice(x(i)) + number;
    });
    static const auto total = map_reduce([](Value x) { return x + number; }, Reduce::sum);
    static const auto shifted = stencil([](Neighbors a) { return a(-1) + number; });
    double y[2] = {};
    const double x[] = {1, 2};
    g(std::span(x), std::span(y));
    const Array all = total(std::span(x)), next = shifted(std::span(x));
    if (f.template bind<double(double)>()(2) != 2 * number || bound(3) != 3 * number ||
        y[1] != 4 + number || all.item<double>() != 3 + 2 * number ||
        next.at<double>(1) != 1 + number)
        std::abort();
}
template <int... numbers> void call_all(std::integer_sequence<int, numbers...>) {
    (call_static<numbers>(), ...);
}

int main_returns_while_static_kernels_run(int ms) {
    detach([](int) {
        for (;;) call_all(std::make_integer_sequence<int, 12>());
    });
    usleep(static_cast<useconds_t>(ms) * 1000);
    return 0;
}

/// New kernels, which come first at exit, while exit goes through many functions: called by the main thread's return (0) or on another thread (1).
int exit_is_slow_while_threads_make_kernels(int kind) {
    require(three_more(2) == 5, "a kernel before the end");
    for (int i = 0; i < 300'000; ++i) std::atexit([] {});
    detach([](int) {
        for (;;) {
            try {
                if (three_more(3) != 6) std::abort();
            } catch (const Error& error) {
                if (error.message() != "three_more cannot be compiled: the program is ending")
                    std::abort();
            }
        }
    });
    usleep(5000);
    if (kind == 0) return 0;
    std::thread([] { std::exit(0); }).join();
    return 1;
}

// ------------------------------------------------------------------------------ forks

/// All that a process can do with kernels, as a child does it.
int child(int number) {
    alarm(60);
    const double c = -number;
    const auto f = vectorize([=](Value x) { return x + c; });
    if (f.bind<double(double)>()(0.5) != 0.5 + c) return 2;
    const auto g = jit(
        [=](In x, Out y) {
            for (Index i : prange(x.extent(0))) y(i) = x(i) - c;
        },
        {.parallel = true});
    std::vector<double> x{1, 2, 3}, y(3);
    g(x, y);
    if (y[2] != 3 - c) return 3;
    const Array a = arange(10.0);
    if (sum(a).item<double>() != 45 || cumsum(a).at<double>(9) != 45) return 4;
    if (mean(a).item<double>() != 4.5 || stats().compiles == 0) return 5;
    const auto twice = host_function<double(double)>("twice", [](double v) { return v * 2; });
    const auto h = jit([=](In in, Out out) {
        for (Index i : range(in.extent(0))) out(i) = twice(in(i));
    });
    h(x, y);
    return y[1] == 4 ? 0 : 6;
}

/// What other threads do meanwhile.
void at_work(int kind, int number) {
    const double c = number + 0.25;
    const std::vector<double> x{1, 2};
    std::vector<double> y(2);
    switch (kind) {
        case 0: vectorize([=](Value v) { return exp(v) + c; })(1.0); break;
        case 1:
            jit(
                [=](In in, Out out) {
                    for (Index i : prange(in.extent(0))) out(i) = in(i) + c;
                },
                {.parallel = true})(x, y);
            break;
        case 2: {  // tracing takes long
            vectorize([=](Value v) {
                usleep(2000);
                return v + c;
            })(1.0);
            jit([=](In in, Out out) {
                usleep(2000);
                out(0) = in(0) + c;
            })(x, y);
            break;
        }
        case 3: {  // arrays, hot tables, counters
            const auto f = vectorize([](Value v) { return v + 1; });
            f(number);
            f(Array(arange(c)).copy());
            f.stats(), stats();
            sum(arange(c)), mean(arange(c)), cumprod(arange(c));
            break;
        }
        default: {
            const auto name = "function " + std::to_string(number % 100);
            host_function<double(double)>(name, [](double v) { return v; });
            const Array a = full({100'000}, c);
            sum(a);
            break;
        }
    }
}

int forks(int kind) {
    detach([=](int thread) {
        for (int i = thread;; i += 2) at_work(kind, i % 1000);
    });
    for (int k = 0; k < 12; ++k) {
        usleep(static_cast<useconds_t>(1000 + k * 700 % 5000));
        const pid_t pid = fork();
        if (pid == 0) _exit(child(k));
        int status = -1;
        waitpid(pid, &status, 0);
        if (status != 0) {
            std::fprintf(stderr, "child %d of kind %d: status %d\n", k, kind, status);
            _exit(1);
        }
    }
    _exit(0);
}

/// A lambda that forks while it is traced: parent and child both go on with it.
int forks_in_a_lambda(int) {
    pid_t pid = -1;
    const auto f = jit([&](In x, Out y) {
        pid = fork();
        for (Index i : range(x.extent(0))) y(i) = x(i) * 2;
    });
    std::vector<double> x{1, 2}, y(2);
    f(x, y);
    require(y[1] == 4, "a kernel that forked");
    if (pid == 0) _exit(child(1));
    int status = -1;
    waitpid(pid, &status, 0);
    require(status == 0, "the child of a kernel that forked");
    return 0;
}

// ------------------------------------------------------------------------------ plugins

struct Plugin {
    void* handle;
    explicit Plugin(const char* name) : handle(dlopen(name, RTLD_NOW | RTLD_LOCAL)) {
        if (handle == nullptr) fail(dlerror());
    }
    ~Plugin() { require(dlclose(handle) == 0, "dlclose"); }
    template <class F> F* get(const char* name) const {
        void* const function = dlsym(handle, name);
        if (function == nullptr) fail(dlerror());
        return reinterpret_cast<F*>(function);
    }
    double run(double x) const { return get<double(double)>("plugin_run")(x); }
};

int plugins(int) {
    const char *three = PLUGIN_3, *seven = PLUGIN_7;
    void* first_address = nullptr;
    {
        const Plugin a(three);
        first_address = dlsym(a.handle, "plugin_run");
        require(a.run(2) == 3.5, "the first plugin");
        const Plugin b(seven);
        require(b.run(2) == 7.5 && a.run(4) == 6.5, "two plugins with one name");

        // Both functions in one kernel.
        auto f = host_function<double(double)>("scaled", [](double v) { return v; });
        auto g = f;
        a.get<void(HostFunction<double(double)>*)>("plugin_function")(&f);
        b.get<void(HostFunction<double(double)>*)>("plugin_function")(&g);
        const auto both = jit([=](In x, Out y) {
            for (Index i : range(x.extent(0))) y(i) = f(x(i)) * 100 + g(x(i)) + f(x(i)) * 1000;
        });
        std::vector<double> x{1}, y{0};
        both(x, y);
        require(y[0] == 300 + 7 + 3000, "two functions of one name in a kernel");
    }
    {
        const Plugin b(seven);
        require(b.run(6) == 21.5, "a plugin after another one of the same names was closed");
    }
    // Something else lies where it was.
    const auto page = reinterpret_cast<std::uintptr_t>(first_address) / 4096 * 4096;
    mmap(reinterpret_cast<void*>(page), 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 20; ++i) {
        const Plugin a(three);
        require(a.run(i) == i * 1.5 + 0.5, "a plugin that was loaded again");
        std::unique_ptr<Ufunc> kernel;
        a.get<void(std::unique_ptr<Ufunc>*)>("plugin_kernel")(&kernel);
        const std::vector<std::int64_t> whole{2}, none{0};
        require((*kernel)(whole).at<std::int64_t>(0) == 90, "a plugin's kernel");
        std::unique_ptr<Error> error;
        try {
            (*kernel)(none);
        } catch (const Error& e) {
            error = std::make_unique<Error>(e);
        }
        kernel.reset();
        require(error != nullptr && std::strstr(error->what(), "plugin.cpp:") != nullptr,
                "an error of a plugin's kernel");
    }
    // What was compiled for plugins is found by others of the same content.
    require(Plugin(three).run(1) == 2.0 && Plugin(seven).run(1) == 4.0, "plugins at the end");
    require(stats().hits + stats().misses > 0, "counters of what is gone");
    return 0;
}

// ------------------------------------------------------------------------------ modes

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr bool forks_work = false;  // one's runtime forbids them, the other's allocator is locked
#else
constexpr bool forks_work = true;
#endif

struct Mode {
    const char* name;
    int (*run)(int argument);
    std::vector<int> arguments;
    bool works = true;
};
const std::vector<Mode>& modes() {
    static const std::vector<Mode> all{
        {"first_compile_in_destructor", first_compile_in_destructor, {0}},
        {"new_kernel_in_destructor", new_kernel_in_destructor, {0}},
        {"main_returns_while_threads_compile",
         main_returns_while_threads_compile,
         {0, 1, 3, 8, 20, 27, 31, 38, 44, 60}},
        {"main_returns_while_static_kernels_run",
         main_returns_while_static_kernels_run,
         {1, 20, 30, 40, 55, 80, 120, 170, 230, 400}},
        {"exit_is_slow_while_threads_make_kernels",
         exit_is_slow_while_threads_make_kernels,
         {0, 1, 0, 1, 0, 1, 0, 1}},
        {"forks", forks, {0, 1, 2, 3, 4}, forks_work},
        {"forks_in_a_lambda", forks_in_a_lambda, {0}, forks_work},
        {"plugins", plugins, {0}},
    };
    return all;
}

int run_mode(const std::string& name, int argument) {
    for (const Mode& mode : modes())
        if (name == mode.name) return mode.run(argument);
    return 99;
}

int run_all(const char* program) {
    int failed = 0;
    for (const Mode& mode : modes()) {
        if (!mode.works) std::printf("%s: skipped, under this sanitizer\n", mode.name);
        for (const int argument : mode.works ? mode.arguments : std::vector<int>{}) {
            std::string name = mode.name, number = std::to_string(argument), self = program;
            char* const command[] = {self.data(), name.data(), number.data(), nullptr};
            pid_t pid = -1;
            int status = -1;
            if (posix_spawn(&pid, "/proc/self/exe", nullptr, nullptr, command, environ) == 0)
                waitpid(pid, &status, 0);
            std::printf("%s %d: status %d\n", mode.name, argument, status);
            failed += status != 0;
        }
    }
    std::printf("%d failed\n", failed);
    return failed == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    setenv("KILN_CACHE", "off", 0);  // compiles are what is looked at
    try {
        return argc == 3 ? run_mode(argv[1], std::atoi(argv[2])) : run_all(argv[0]);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 98;
    }
}
