"""How values become JSON, and where the deterministic inputs come from."""

import json
import math
import zlib

import flax
import jax
import jaxlib
import numpy as np
import optax


def number(value, kind):
    if kind in "iu":
        return int(value)
    if kind == "b":
        return int(bool(value))
    value = float(value)
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return value  # json prints the shortest text that gives back the same float64, hence the same float32


def array(value):
    """{"dtype", "shape", "data"}, row-major."""
    value = np.asarray(value)
    data = [number(v, value.dtype.kind) for v in value.reshape(-1)]
    return {"dtype": value.dtype.name, "shape": list(value.shape), "data": data}


def summary(value, head=8):
    """{"dtype", "shape", "head", "last", "sum"}; the sum is the exact one, rounded once to float64."""
    value = np.asarray(value)
    flat = value.reshape(-1)
    kind = value.dtype.kind
    total = math.fsum(flat.astype(np.float64))
    return {
        "dtype": value.dtype.name,
        "shape": list(value.shape),
        "head": [number(v, kind) for v in flat[:head]],
        "last": number(flat[-1], kind),
        "sum": number(total, "f"),
    }


def leaf(value, limit=64, head=8):
    """The whole array if it is small, otherwise its summary."""
    return array(value) if np.size(value) <= limit else summary(value, head)


def paths(tree, encode=array):
    """Nested dictionary -> {"a/b": encoded}, sorted by path."""
    flat = flax.traverse_util.flatten_dict(tree, sep="/")
    return {path: encode(flat[path]) for path in sorted(flat)}


def key_words(key):
    return [int(word) for word in np.asarray(jax.random.key_data(key))]


def random_numbers(label, shape, span=2.0):
    """Multiples of 1/64 in [-span, span], fixed by the label: exact in float32 and short in print."""
    generator = np.random.default_rng(zlib.crc32(label.encode()))
    steps = int(span * 64)
    return (generator.integers(-steps, steps, size=shape, endpoint=True) / 64).astype(np.float32)


def versions():
    modules = {"flax": flax, "jax": jax, "jaxlib": jaxlib, "numpy": np, "optax": optax}
    return {name: module.__version__ for name, module in modules.items()}


def write(path, cases):
    cases = list(cases)
    names = [case["name"] for case in cases]
    assert len(set(names)) == len(names), (
        f"{path.name}: names used twice: {sorted({n for n in names if names.count(n) > 1})}"
    )
    lines = ",\n".join(json.dumps(case, separators=(",", ":"), allow_nan=False) for case in cases)
    text = f'{{"versions":{json.dumps(versions(), separators=(",", ":"))},"cases":[\n{lines}\n]}}\n'
    path.write_text(text, encoding="ascii", newline="\n")
    return len(cases)
