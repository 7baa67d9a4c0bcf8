"""Tables and the plot."""


def print_case(rows, bounds):
    """`bounds`: {threads: (ns per element, name)} of the case."""
    peers = [r for r in rows if not r["variant"].startswith(("kiln", "limit"))]
    first = rows[0]
    print(f"\n{first['workload']} {first['dtype']} n={first['n']:,}", end="")
    for threads, (ns, name) in sorted(bounds.items()):
        print(f"; limit of {threads} thread{'s' if threads > 1 else ''}: {ns:.4g} ({name})", end="")
    print(f"\n  {'variant':34}{'threads':>8}{'ns/element':>12}{'spread':>8}{'x best peer':>13}{'x limit':>9}{'error':>10}")
    for r in sorted(rows, key=lambda r: (r["threads"], r["ns_per_element"])):
        best = min((p["ns_per_element"] for p in peers if p["threads"] == r["threads"]), default=None)
        bound = bounds.get(r["threads"])
        print(f"  {r['variant']:34}{r['threads']:>8}{r['ns_per_element']:>12.4g}{r['spread']:>7.0%}"
              + (f"{r['ns_per_element'] / best:>13.2f}" if best else " " * 13)
              + (f"{r['ns_per_element'] / bound[0]:>9.2f}" if bound else " " * 9)
              + (f"{r['error']:>10.1e}" if r["error"] is not None else ""), flush=True)


def print_summary(rows):
    """kiln's best variant of each case beside the best of each kind of peer, all threads allowed."""
    groups = {"kiln": "kiln", "hand": "hand", "g++": "g++", "clang": "clang", "numba": "numba",
              "numpy": "numpy", "numexpr": "numexpr", "jax": "jax", "drjit": "drjit", "halide": "halide"}
    cases = {}
    for r in rows:
        if "ns_per_element" in r and r["workload"] != "limit":
            cases.setdefault((r["workload"], r["dtype"], r["n"]), []).append(r)
    if not cases:
        return
    print(f"\nbest of each, ns per element\n  {'':28}" + "".join(f"{g:>9}" for g in groups)
          + f"{'limit':>9}{'kiln / best':>13}")
    for (workload, dtype, n), group in cases.items():
        best = {g: min((r["ns_per_element"] for r in group if r["variant"].startswith(p)), default=None)
                for g, p in groups.items()}
        limit = min((r["ns_per_element"] for r in group if r["variant"] == "limit"), default=None)
        peers = [ns for g, ns in best.items() if g != "kiln" and ns is not None]
        ratio = f"{best['kiln'] / min(peers):13.2f}" if best["kiln"] and peers else f"{'-':>13}"
        print(f"  {f'{workload} {dtype} {n:.0e}':28}"
              + "".join(f"{ns:9.3g}" if ns is not None else f"{'-':>9}" for ns in [*best.values(), limit]) + ratio)


def time_text(ns):
    return f"{ns / 1e6:.2f} ms" if ns >= 1e6 else f"{ns / 1e3:.2f} us" if ns >= 1e4 else f"{ns:.1f} ns"


def print_latencies(rows):
    print(f"\nlatency\n  {'what':42}{'variant':34}{'time':>12}")
    for r in sorted(rows, key=lambda r: (r["workload"], r["ns"])):
        print(f"  {r['workload']:42}{r['variant']:34}{time_text(r['ns']):>12}")


def plot(rows, path):
    """Time relative to kiln's best of each case and number of threads: a bar to the right is slower."""
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    groups = (("hand", "C3", "o"), ("clang", "C0", "s"), ("g++", "C9", "v"), ("numba", "C2", "^"), ("numpy", "C4", "D"),
              ("numexpr", "C5", "P"), ("jax", "C6", "X"), ("drjit", "C7", "<"), ("halide", "C8", ">"),
              ("limit", "black", "|"))
    cases = {}
    for r in rows:
        if "ns_per_element" in r and r["workload"] != "limit":
            cases.setdefault((r["workload"], r["dtype"], r["n"], r["threads"]), []).append(r)
    kiln = {key: min((r["ns_per_element"] for r in group if r["variant"].startswith("kiln")), default=None)
            for key, group in cases.items()}
    keys = [key for key in reversed(cases) if kiln[key]]
    figure, axes = pyplot.subplots(figsize=(10, 0.24 * len(keys) + 1.5))
    for place, key in enumerate(keys):
        for prefix, colour, mark in groups:
            times = [r["ns_per_element"] for r in cases[key]
                     if (r["variant"] == prefix if prefix == "limit" else r["variant"].startswith(prefix))]
            if times:
                axes.plot(min(times) / kiln[key], place, mark, color=colour, ms=9 if prefix == "limit" else 5)
    for prefix, colour, mark in groups:
        axes.plot([], [], mark, color=colour, label=prefix)
    names = [f"{w} {d} {n:,}, {t} thread{'s' if t > 1 else ''}" for w, d, n, t in keys]
    axes.set_yticks(range(len(keys)), names, fontsize=7)
    axes.set_ylim(-0.7, len(keys) - 0.3)
    axes.set_xscale("log")
    axes.axvline(1, color="grey", lw=0.8)
    axes.grid(axis="both", lw=0.2)
    axes.set_xlabel("time / kiln's time: right of 1 is slower than kiln")
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.tight_layout()
    figure.savefig(path, dpi=120)
