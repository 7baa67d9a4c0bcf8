"""Python peers, a module each with
    VERSION             what it calls itself, or None where it cannot be imported
    variants(case)      yields (label, threads, call): threads is 1 or, for all, 0; call() writes the
                        case's output, or returns the result
Peers that are absent are reported; peers that cannot do a case yield nothing."""
import importlib

from variants import Variant

NAMES = ("numpy", "numba", "numexpr", "jax", "drjit", "halide")
_modules = {name: importlib.import_module(f"peers.{name}_peer") for name in NAMES}


def present():
    return [m.VERSION for m in _modules.values() if m.VERSION]


def absent():
    missing = [name for name, m in _modules.items() if not m.VERSION]
    return missing + [note for m in _modules.values() for note in getattr(m, "NOTES", [])]


def variants(case):
    return [Variant.of_python(label, threads, case.elements, call)
            for m in _modules.values() if m.VERSION for label, threads, call in m.variants(case)]
