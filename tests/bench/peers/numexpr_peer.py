import os

from workloads import DTYPES

try:
    os.environ.setdefault("NUMEXPR_MAX_THREADS", str(len(os.sched_getaffinity(0))))
    import numexpr
    VERSION = f"numexpr {numexpr.__version__}"
except ImportError:
    VERSION = None

TEXTS = {"saxpy": "k * x + y", "chain": "sin(x) * sin(x) + cos(x) * cos(x) + exp(-x * x) / two",
         "add2_3d": "x + two", "add2_3d_bad": "x + two", "fn_exp": "exp(x)", "fn_log": "log(x)",
         "fn_sincos": "sin(x) + cos(x)", "fresh": "k * x + y", "sqrt_sum": "sum(sqrt(x))", "dot": "sum(x * y)"}


def variants(case):
    text = TEXTS.get(case.workload)
    if text is None:
        return
    t, r, names = DTYPES[case.dtype], case.output, dict(zip("xy", case.inputs))
    if " two" in text:
        names["two"] = t(2)
    if "k *" in text:
        names["k"] = t(case.scalars[0])
    if case.workload == "add2_3d_bad":
        names["x"], r = names["x"].T, r.T
    options = {} if case.workload in ("fresh", "sqrt_sum", "dot") else {"out": r}
    yield "numexpr", 0, lambda: numexpr.evaluate(text, local_dict=names, global_dict={}, **options)
