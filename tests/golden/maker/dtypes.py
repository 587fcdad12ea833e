"""Dtype rules, as JSON on stdout. usage: python -m maker.dtypes X64   (X64: 0 or 1)"""

import json
import sys
import warnings

import jax

jax.config.update("jax_enable_x64", sys.argv[1] == "1")

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

from .encode import array  # noqa: E402

X64 = jax.config.jax_enable_x64
SUFFIX = "x64_on" if X64 else "x64_off"
ALL = ["bool", "uint8", "int32", "uint32", "int64", "float32", "float64"]
DTYPES = ALL if X64 else [d for d in ALL if not d.endswith("64")]
SCALARS = {"bool": True, "int": 2, "float": 0.5}
BINARY = ["add", "subtract", "multiply", "divide", "floor_divide", "remainder", "power", "maximum", "less", "matmul"]
UNARY = ["exp", "sqrt", "abs", "negative", "sign", "square", "sum", "mean", "var", "max", "argmax", "prod", "cumsum"]


def result(fn):
    """Name of the result's dtype, null where JAX refuses."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return jax.eval_shape(fn).dtype.name
    except TypeError:
        return None


def ones(dtype):
    return jnp.ones((2,), dtype)


def cases():
    yield {
        "name": f"promote_types/{SUFFIX}",
        "op": "promote_types",
        "dtypes": DTYPES,
        "table": [[jnp.promote_types(a, b).name for b in DTYPES] for a in DTYPES],
    }
    for op in BINARY:
        fn = getattr(jnp, op)
        yield {
            "name": f"dtype/{op}/{SUFFIX}",
            "op": "binary_dtype",
            "function": op,
            "dtypes": DTYPES,
            "table": [[result(lambda: fn(ones(a), ones(b))) for b in DTYPES] for a in DTYPES],
        }
        if op != "matmul":
            for side in ("right", "left"):
                yield {
                    "name": f"dtype/{op}/scalar_{side}/{SUFFIX}",
                    "op": "scalar_dtype",
                    "function": op,
                    "scalar_side": side,
                    "dtypes": DTYPES,
                    "scalars": list(SCALARS),
                    "table": [
                        [
                            result(lambda: fn(ones(a), s) if side == "right" else fn(s, ones(a)))
                            for s in SCALARS.values()
                        ]
                        for a in DTYPES
                    ],
                }
    yield {
        "name": f"dtype/unary/{SUFFIX}",
        "op": "unary_dtype",
        "functions": UNARY,
        "dtypes": DTYPES,
        "table": [[result(lambda: getattr(jnp, op)(ones(d))) for d in DTYPES] for op in UNARY],
    }
    yield {
        "name": f"dtype/where/{SUFFIX}",
        "op": "binary_dtype",
        "function": "where",
        "dtypes": DTYPES,
        "table": [[result(lambda: jnp.where(True, ones(a), ones(b))) for b in DTYPES] for a in DTYPES],
    }
    yield {
        "name": f"dtype/scalar_array/{SUFFIX}",
        "op": "scalar_array_dtype",
        "scalars": list(SCALARS),
        "dtypes_of": [jnp.asarray(s).dtype.name for s in SCALARS.values()],
    }
    if X64:
        yield from wide_casts()


def wide_casts():
    floats = [
        0,
        -0.0,
        0.5,
        1.9,
        -1.9,
        254.9,
        2147483648,
        -2147483649,
        4294967296,
        9007199254740993,
        1e18,
        1e19,
        -1e19,
        1e300,
        np.inf,
        -np.inf,
        np.nan,
    ]
    sources = {
        "float64": np.array(floats),
        "int64": np.array([0, 1, -1, 256, 16777217, 2**31, 2**53 + 1, 2**63 - 1, -(2**63)], np.int64),
    }
    narrow = {
        "float32": np.array([1.9, -1.9, 3e9, 1e19, np.inf, np.nan], np.float32),
        "int32": np.array([-1, 2**31 - 1], np.int32),
        "uint32": np.array([2**32 - 1], np.uint32),
        "uint8": np.array([255], np.uint8),
        "bool": np.array([False, True]),
    }
    for source, x in {**sources, **narrow}.items():
        for target in ALL if source in sources else sources:
            yield {
                "name": f"astype/{source}_{target}/x64_on",
                "op": "astype",
                "attrs": {"dtype": target},
                "inputs": [array(x)],
                "output": array(jnp.asarray(x).astype(target)),
            }


if __name__ == "__main__":
    print(json.dumps(list(cases()), allow_nan=False))
