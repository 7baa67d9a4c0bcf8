#include "tests/fuzz/driver.h"

#include "tests/fuzz/cpp_mutator.h"

#include <kiln/error.h>

#include <fcntl.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iterator>
#include <random>
#include <string_view>
#include <utility>

// What a sanitizer reports ends the program by SIGABRT, which keeps the input; it handles the other signals itself.
// Inputs ask for more memory than there is, and get an error.
#if defined(__SANITIZE_ADDRESS__)
#define KILN_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KILN_SANITIZED
#endif
#endif
#ifdef KILN_SANITIZED
constexpr bool sanitized = true;
// NOLINTBEGIN(bugprone-reserved-identifier): the sanitizers' names
extern "C" [[gnu::visibility("default"), gnu::used]] const char* __asan_default_options() {
    return "abort_on_error=1:allocator_may_return_null=1:detect_leaks=1";
}
extern "C" [[gnu::visibility("default"), gnu::used]] const char* __ubsan_default_options() {
    return "abort_on_error=1:print_stacktrace=1";
}
// NOLINTEND(bugprone-reserved-identifier)
#else
constexpr bool sanitized = false;
#endif

namespace kiln::test {
namespace {

// Of one input: of the CPU, since other programs may run beside; and of waiting for what never comes.
constexpr unsigned most_cpu_seconds = 20, most_seconds = 600;
constexpr std::size_t longest = std::size_t(1) << 16;

// What a signal handler writes.
const std::string* current = nullptr;
std::array<char, 256> finding_path{};

void keep_finding() {
    const int file = open(finding_path.data(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (file < 0 || current == nullptr) return;
    [[maybe_unused]] const ssize_t n = write(file, current->data(), current->size());
    close(file);
    for (const char* text : {"found: ", static_cast<const char*>(finding_path.data()), "\n"})
        [[maybe_unused]]
        const ssize_t m = write(2, text, std::strlen(text));
}
void on_signal(int number) {
    keep_finding();
    signal(number, SIG_DFL);
    raise(number);
}

void set_timers(unsigned cpu_seconds, unsigned seconds) {
    const itimerval cpu{{}, {static_cast<time_t>(cpu_seconds), 0}};
    setitimer(ITIMER_PROF, &cpu, nullptr);
    alarm(seconds);
}

class Mutator {
  public:
    Mutator(const FuzzTarget& target, std::uint64_t seed)
        : is_cpp_(target.is_cpp),
          seeds_(target.seeds.size()),
          pool_(target.seeds),
          random_(seed),
          cpp_(random_) {
        for (const std::string& one : target.seeds) add_words(one);
    }
    std::string next() {
        std::string text = pool_[below(below(2) == 0 ? seeds_ : pool_.size())];
        const bool as_cpp = is_cpp_ && below(8) != 0;
        for (std::size_t n = 1 + below(below(4) == 0 ? 8 : 2); n > 0; --n)
            if (as_cpp)
                cpp_.change(text, pool_[below(pool_.size())]);
            else
                change(text);
        if (text.size() > longest) text.resize(longest);
        return text;
    }
    /// What was taken is worth changing further.
    void keep(const std::string& input) {
        if (pool_.size() < 2000)
            pool_.push_back(input);
        else
            pool_[seeds_ + below(pool_.size() - seeds_)] = input;
    }

  private:
    std::size_t below(std::size_t n) { return n == 0 ? 0 : random_() % n; }
    void add_words(std::string_view text) {
        std::string word;
        for (const char c : text) {
            const bool in_word = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
            if (in_word) word += c;
            if (in_word || word.empty()) continue;
            words_.push_back(std::exchange(word, ""));
        }
    }
    void change(std::string& text) {
        static constexpr std::array<const char*, 14> numbers{"0",
                                                             "-1",
                                                             "1",
                                                             "7",
                                                             "255",
                                                             "65536",
                                                             "2147483648",
                                                             "-2147483649",
                                                             "4294967295",
                                                             "9223372036854775807",
                                                             "-9223372036854775808",
                                                             "18446744073709551616",
                                                             "1e999",
                                                             "nan"};
        const std::size_t at = below(text.size() + 1), n = std::min(below(32), text.size() - at);
        switch (below(9)) {
            case 0:
                if (at < text.size()) text[at] = static_cast<char>(text[at] ^ 1 << below(8));
                break;
            case 1:
                if (at < text.size()) text[at] = static_cast<char>(random_());
                break;
            case 2: text.erase(at, n); break;
            case 3: text.insert(at, text.substr(below(text.size() + 1), below(64))); break;
            case 4: text.insert(at, numbers[below(numbers.size())]); break;
            case 5: replace_word(text, at); break;
            case 6: {
                const std::string& other = pool_[below(pool_.size())];
                const std::size_t from = below(other.size() + 1);
                text.replace(at, n, other.substr(from, below(200)));
                break;
            }
            case 7: swap_lines(text); break;
            case 8:  // a field of a header
                for (std::size_t i = at; i < std::min(at + 8, text.size()); ++i)
                    text[i] = below(2) == 0 ? '\xff' : '\0';
                break;
            default: break;
        }
    }
    void replace_word(std::string& text, std::size_t at) {
        if (words_.empty()) return;
        const auto is_word = [&](std::size_t i) {
            return i < text.size() &&
                   (std::isalnum(static_cast<unsigned char>(text[i])) != 0 || text[i] == '_');
        };
        std::size_t end = at;
        while (is_word(end)) ++end;
        while (at > 0 && is_word(at - 1)) --at;
        text.replace(at, end - at, words_[below(words_.size())]);
    }
    void swap_lines(std::string& text) {
        const std::size_t a = text.find('\n', below(text.size() + 1));
        const std::size_t b = a == text.npos ? a : text.find('\n', a + 1);
        if (b == text.npos) return;
        const std::string line = text.substr(a, b - a);
        text.erase(a, b - a);
        const std::size_t to = text.find('\n', below(text.size() + 1));
        text.insert(to == text.npos ? text.size() : to, line);
    }

    const bool is_cpp_;
    std::size_t seeds_;  // at the beginning of the pool
    std::vector<std::string> pool_, words_;
    std::mt19937_64 random_;
    CppMutator cpp_;
};

std::string refusal;  ///< the last one

/// Whether it was taken; false: refused. Anything else ends the program.
bool run_one(const FuzzTarget& target, const std::string& input) {
    current = &input;
    set_timers(most_cpu_seconds, most_seconds);
    try {
        target.run(input);
        return true;
    } catch (const Error& error) {
        refusal = error.what();
        if (error.kind() != ErrorKind::internal) return false;
        std::fprintf(stderr, "%s: an internal error: %s\n", target.name.c_str(), error.what());
    } catch (const std::exception& other) {
        std::fprintf(stderr, "%s: no kiln::Error: %s\n", target.name.c_str(), other.what());
    } catch (...) {
        std::fprintf(stderr, "%s: an exception of no class\n", target.name.c_str());
    }
    keep_finding();
    std::exit(1);
}

struct Budget {
    std::uint64_t inputs = 2000, seed = 1;
    double seconds = 1e9;
};

void run_target(const FuzzTarget& target, const Budget& budget) {
    std::snprintf(finding_path.data(), finding_path.size(), "found-%s", target.name.c_str());
    for (const std::string& seed : target.seeds)
        if (!run_one(target, seed)) {
            std::fprintf(stderr, "%s: a seed is refused: %s\n%s\n", target.name.c_str(),
                         refusal.c_str(), seed.c_str());
            std::exit(1);
        }
    Mutator mutator(target, budget.seed);
    std::uint64_t tried = 0, taken = 0;
    const std::clock_t cpu_start = std::clock();
    const auto start = std::chrono::steady_clock::now();
    const auto seconds = [&] {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    };
    for (; tried < budget.inputs && (tried % 16 != 0 || seconds() < budget.seconds); ++tried) {
        const std::string input = mutator.next();
        if (!run_one(target, input)) continue;
        ++taken;
        mutator.keep(input);
    }
    set_timers(0, 0);
    std::printf("%s: seed %llu, %llu inputs, %llu taken, %.1f s, of these %.1f s of the CPU\n",
                target.name.c_str(), static_cast<unsigned long long>(budget.seed),
                static_cast<unsigned long long>(tried), static_cast<unsigned long long>(taken),
                seconds(), double(std::clock() - cpu_start) / CLOCKS_PER_SEC);
    std::fflush(stdout);
}

int usage(const std::vector<FuzzTarget>& targets) {
    std::fputs("TARGET|all [--inputs N] [--seconds S] [--seed X] [--file INPUT]; targets:", stderr);
    for (const FuzzTarget& t : targets) std::fprintf(stderr, " %s", t.name.c_str());
    std::fputs("\n", stderr);
    return 2;
}

}  // namespace

int fuzz(int argc, char** argv, const std::vector<FuzzTarget>& targets) {
    const std::string chosen = argc > 1 ? argv[1] : "";
    if (chosen == "targets") {
        for (const FuzzTarget& target : targets) std::puts(target.name.c_str());
        return 0;
    }
    Budget budget;
    std::string file;
    for (int i = 2; i + 1 < argc; i += 2) {
        const std::string_view option = argv[i];
        if (option == "--inputs")
            budget.inputs = std::strtoull(argv[i + 1], nullptr, 10);
        else if (option == "--seconds") {
            budget.seconds = std::strtod(argv[i + 1], nullptr);
            budget.inputs = ~std::uint64_t(0);
        } else if (option == "--seed")
            budget.seed = std::strtoull(argv[i + 1], nullptr, 10);
        else if (option == "--file")
            file = argv[i + 1];
        else
            return usage(targets);
    }
    for (const int number : {SIGABRT, SIGALRM, SIGPROF}) signal(number, on_signal);
    if (!sanitized)
        for (const int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) signal(number, on_signal);
    bool any = false;
    for (const FuzzTarget& target : targets) {
        if (chosen != "all" && chosen != target.name) continue;
        any = true;
        if (file.empty()) {
            run_target(target, budget);
            continue;
        }
        std::ifstream stream(file, std::ios::binary);
        const std::string input{std::istreambuf_iterator<char>(stream), {}};
        std::snprintf(finding_path.data(), finding_path.size(), "found-%s", target.name.c_str());
        std::puts(run_one(target, input) ? "taken" : "refused");
    }
    return any ? 0 : usage(targets);
}

}  // namespace kiln::test
