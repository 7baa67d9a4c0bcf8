// What belongs to the whole process: kiln neither reads it where that would change what it does,
// nor leaves it other than it was.
#include "tests/jit/support.h"

#include <kiln/npy.h>
#include <kiln/parallel.h>

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <clocale>
#include <cstring>
#include <filesystem>
#include <locale>
#include <sstream>

using namespace kiln;
using namespace kiln::test;

namespace {

/// A comma for the point, and groups of two digits.
struct Grouping : std::numpunct<char> {
    char do_decimal_point() const override { return ','; }
    char do_thousands_sep() const override { return '.'; }
    std::string do_grouping() const override { return "\2"; }
};

class GroupingLocale {
  public:
    GroupingLocale() : before_(std::locale::global(std::locale(std::locale(), new Grouping))) {
        c_before_ = std::setlocale(LC_ALL, nullptr);
        // Where the system has one that writes commas.
        for (const char* name : {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8"})
            if (std::setlocale(LC_ALL, name) != nullptr) break;
    }
    ~GroupingLocale() {
        std::setlocale(LC_ALL, c_before_.c_str());
        std::locale::global(before_);
    }
    GroupingLocale(const GroupingLocale&) = delete;
    GroupingLocale& operator=(const GroupingLocale&) = delete;

  private:
    std::locale before_;
    std::string c_before_;
};

/// Every text that kiln writes of this kernel, and some others.
std::string texts() {
    std::string all;
    const auto f = vectorize(
        "f", [](Value x) { return x * 12345.678 + 1e-7 * exp(x) + Value(f32(0.1)) + 1'234'567; });
    for (const Artifact a : {Artifact::ir, Artifact::passes, Artifact::llvm, Artifact::llvm_opt,
                             Artifact::assembly, Artifact::cuda})
        all += f.inspect(a, {f64[1]});
    const auto loop = jit("loop", [](In x, Out y) {
        for (Index i : prange(x.extent(0))) y(i) = x(i) * 12345.678 + 1'234'567;
    });
    for (const Artifact a : {Artifact::ir, Artifact::llvm, Artifact::assembly})
        all += loop.inspect(a, {f64[1], f64[1]});
    all += to_string(linspace(0.1, 12345678.5, 2001));
    all += to_string(arange(1'234'567, 1'234'600));
    all += error_of([] { quantile(zeros({3}), 1234.5); }).what();
    all += error_of([] { zeros({1'234'567}).at<double>({7'654'321}); }).what();
    all += error_of([] { set_num_threads(123'456); }).what();
    const std::string path =
        std::filesystem::temp_directory_path() / ("kiln_locale_" + std::to_string(getpid()));
    save_npy(path, ones({12, 345}));
    const Array back = load_npy(path);
    all += to_string(back.shape());
    std::filesystem::remove(path);
    return all;
}

}  // namespace

TEST_CASE("texts and files do not depend on the locale", "[jit][process]") {
    const std::string expected = texts();
    CHECK(expected.find("12345.678") != std::string::npos);
    std::string under;
    {
        const GroupingLocale locale;
        std::ostringstream out;
        out << 1234.5;
        REQUIRE(out.str() == "12.34,5");
        under = texts();
    }
    CHECK((under == expected));
}

namespace {

/// What a process has only one of, and a thread's own that a call could change.
struct State {
    std::string folder = std::filesystem::current_path();
    std::string locale = std::setlocale(LC_ALL, nullptr), cpp_locale = std::locale().name();
    mode_t mask = umask(0);
    std::vector<std::pair<void (*)(int), int>> handlers;  // with their flags
    std::vector<int> blocked;
    cpu_set_t cpus{};
    char thread[16] = {};

    State() {
        umask(mask);
        sigset_t signals;
        pthread_sigmask(SIG_SETMASK, nullptr, &signals);
        for (int s = 1; s < SIGRTMAX; ++s) {
            blocked.push_back(sigismember(&signals, s));
            struct sigaction action{};
            sigaction(s, nullptr, &action);
            handlers.emplace_back(action.sa_handler, action.sa_flags);
        }
        sched_getaffinity(0, sizeof cpus, &cpus);
        pthread_getname_np(pthread_self(), thread, sizeof thread);
    }
};

}  // namespace

TEST_CASE("a call leaves folder, masks, handlers, locale and CPUs as they were", "[jit][process]") {
    const State before;
    static_cast<void>(texts());
    set_num_threads(3);
    const Array x = arange(300'000, DType::f64);
    const auto f = vectorize([](Value v) { return sqrt(v) + 1; }, {.parallel = true});
    CHECK(f(x).at<double>({4}) == 3);
    CHECK(sort(x.flip()).at<double>({4}) == 4);
    CHECK_THROWS_AS(load_npy("/nowhere"), Error);
    set_num_threads(max_threads());
    const State after;
    CHECK(after.folder == before.folder);
    CHECK(after.locale == before.locale);
    CHECK(after.cpp_locale == before.cpp_locale);
    CHECK(after.mask == before.mask);
    CHECK((after.handlers == before.handlers));
    CHECK(after.blocked == before.blocked);
    CHECK(CPU_EQUAL(&after.cpus, &before.cpus) != 0);
    CHECK(std::string(after.thread) == before.thread);
}
