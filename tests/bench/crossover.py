"""Whether `parallel` ever costs: kiln's parallel variant against its serial one, by size."""
import workloads
from variants import check, measure

CASES = (("saxpy", "f32"), ("chain", "f32"), ("black_scholes", "f64"))
SIZES = tuple(round(10 ** (k / 2)) for k in range(4, 15))  # 1e2 .. 1e7


def run(compiled, rounds, sample_ns):
    """Least times of many interleaved rounds, so that a busy machine disturbs little. The number of
    failures: cases in which parallel was slower by more than 10 %."""
    failures = 0
    print("\nparallel / serial of kiln (fastmath), least times")
    for workload, dtype in CASES:
        print(f"  {workload} {dtype}\n  {'n':>12}{'serial us':>12}{'parallel us':>13}{'ratio':>8}")
        for n in SIZES:
            case = workloads.make(workload, dtype, n)
            good, trouble = check(case, [v for v in compiled.variants(case) if v.label == "kiln"])
            if trouble:
                print("\n".join(f"  ! {line}" for line in trouble))
                return 1
            measure(good, rounds * 3, sample_ns / 5)
            least = {v.threads: min(v.samples) * case.elements for v in good}
            ratio = least[0] / least[1]
            slower = ratio > 1.1
            failures += slower
            print(f"  {n:>12,}{least[1] / 1e3:>12.3f}{least[0] / 1e3:>13.3f}{ratio:>8.2f}{'  slower' if slower else ''}",
                  flush=True)
    return 1 if failures else 0
