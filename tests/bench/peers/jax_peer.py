"""JAX on the CPU. Its pool has all processors; results are new arrays."""
import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")
try:
    import jax
    import jax.numpy as jnp
    from jax.scipy.special import erf
    jax.config.update("jax_enable_x64", True)
    VERSION = f"jax {jax.__version__}"
except ImportError:
    VERSION = None

import numpy as np

from workloads import DTYPES


def black_scholes(rate, vol, s, k, time):
    cdf = lambda d: 0.5 + 0.5 * erf(d * 0.70710678118654752440)
    sd = vol * jnp.sqrt(time)
    d1 = (jnp.log(s / k) + (rate + 0.5 * vol * vol) * time) / sd
    return s * cdf(d1) - k * jnp.exp(-rate * time) * cdf(d1 - sd)


FUNCTIONS = {
    "saxpy": lambda k, x, y: k * x + y, "fresh": lambda k, x, y: k * x + y, "black_scholes": black_scholes,
    "chain": lambda x: jnp.sin(x) * jnp.sin(x) + jnp.cos(x) * jnp.cos(x) + jnp.exp(-x * x) / 2,
    "add2_3d": lambda x: x + 2, "outer": lambda y, x: y[:, None] * x[None, :],
    "sqrt_sum": lambda x: jnp.sum(jnp.sqrt(x)), "dot": lambda x, y: jnp.dot(x, y),
    "sum_axis0": lambda x: jnp.sum(x, axis=0), "sum_axis1": lambda x: jnp.sum(x, axis=1)}


def variants(case):
    function = FUNCTIONS.get(case.workload)
    if function is None:
        return
    arguments = [DTYPES[case.dtype](v) for v in case.scalars] + [jnp.asarray(x) for x in case.inputs]
    f = jax.jit(function)

    def call():
        result = f(*arguments)
        result.block_until_ready()
        return result
    yield "jax", 0, call
