"""ops.json: arithmetic, comparison, functions of one element, selection and casts."""

import jax.numpy as jnp
import numpy as np
from jax import lax

from .encode import random_numbers
from .op import f32, i32, op
from .random import shape_name

NAN, INF = np.nan, np.inf

BINARY = ("add", "subtract", "multiply", "divide", "power", "maximum", "minimum")
PAIRS = (
    ((2, 3), (2, 3)),
    ((2, 3), (3,)),
    ((2, 3), ()),
    ((2, 1), (1, 3)),
    ((), ()),
    ((1,), (4,)),
    ((2, 1, 3), (4, 1)),
    ((0, 3), (3,)),
    ((5, 1), (1, 0)),
)


def binary():
    for kind in BINARY:
        for a, b in PAIRS:
            name = f"{kind}/{shape_name(a)}_{shape_name(b)}"
            x, y = random_numbers(f"{name}:x", a), random_numbers(f"{name}:y", b)
            if kind in ("divide", "power"):
                x, y = (np.abs(x) + 0.25, y) if kind == "power" else (x, np.sign(y) * (np.abs(y) + 0.25) + (y == 0))
            yield op(name, kind, getattr(jnp, kind), [x.astype(np.float32), y.astype(np.float32)])
    for kind in ("maximum", "minimum"):
        yield op(f"{kind}/ties", kind, getattr(jnp, kind), [f32(1, 2, 0, -1), f32(1, 1, 0, -1)])
        yield op(
            f"{kind}/nan",
            kind,
            getattr(jnp, kind),
            [f32(NAN, 1, NAN, INF, -INF), f32(1, NAN, NAN, -INF, NAN)],
            gradient=False,
        )
        yield op(f"{kind}/int32", kind, getattr(jnp, kind), [i32(1, -2, 3), i32(2, -2, -3)])
    yield op("divide/zero", "divide", jnp.divide, [f32(1, -1, 0, INF), f32(0, 0, 0, INF)], gradient=False)
    yield op("divide/int32", "divide", jnp.divide, [i32(7, -7, 1, 0), i32(2, 2, 3, 5)])
    yield op("power/zero_base", "power", jnp.power, [f32(0, 0, 0, 0, 0), f32(0, 1, 2, 0.5, 3)])
    yield op("power/negative_base", "power", jnp.power, [f32(-2, -2, -3, -0.5), f32(2, 3, 0, -1)], gradient=False)
    yield op("power/negative_base_fraction", "power", jnp.power, [f32(-2), f32(0.5)], gradient=False)
    for exponent in (0, 1, 2, 3, -1, -2, 7):
        yield op(
            f"integer_pow/{exponent}",
            "integer_pow",
            lambda x, exponent: x**exponent,
            [f32(-2, -0.5, 0.25, 1, 3)],
            exponent=exponent,
        )
    for exponent in (0.5, 2.0, -1.5):
        yield op(
            f"float_pow/{exponent}",
            "float_pow",
            lambda x, exponent: x**exponent,
            [f32(0.25, 1, 3, 9)],
            exponent=exponent,
        )
    big = i32(2**31 - 1, -(2**31), 65536, -7)
    for kind in ("add", "subtract", "multiply"):
        yield op(f"{kind}/int32_wraps", kind, getattr(jnp, kind), [big, i32(1, 1, 65536, 3)])
        yield op(
            f"{kind}/uint8_wraps",
            kind,
            getattr(jnp, kind),
            [np.array([250, 3, 16], np.uint8), np.array([10, 5, 16], np.uint8)],
        )
    for kind in ("floor_divide", "remainder"):
        yield op(f"{kind}/int32", kind, getattr(jnp, kind), [i32(7, -7, 7, -7, 6), i32(2, 2, -2, -2, 3)])
        yield op(
            f"{kind}/float32",
            kind,
            getattr(jnp, kind),
            [f32(7, -7, 7, -7, 5.5), f32(2, 2, -2, -2, 0.5)],
            gradient=False,
        )
    for kind in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"):
        yield op(
            f"{kind}/float32",
            kind,
            getattr(jnp, kind),
            [f32(1, 2, 3, NAN, NAN, INF, -0.0), f32(1, 3, 2, NAN, 1, INF, 0.0)],
        )
        yield op(
            f"{kind}/broadcast_int32", kind, getattr(jnp, kind), [np.arange(6, dtype=np.int32).reshape(2, 3), i32(2)]
        )
        yield op(f"{kind}/int32_float32", kind, getattr(jnp, kind), [i32(1, 2, 3), f32(1.5, 2, 2.5)])
    flags = np.array([False, False, True, True]), np.array([False, True, False, True])
    for kind in ("logical_and", "logical_or"):
        yield op(f"{kind}/bool", kind, getattr(jnp, kind), flags)
    yield op("logical_not/bool", "logical_not", jnp.logical_not, [flags[0]])


def unary():
    positive = f32(1e-30, 1 / 64, 0.25, 1, 2.5, 30, 1e30)
    wide = f32(-88, -30, -2, -0.5, -1 / 64, 0, 1 / 64, 0.5, 2, 30, 88)
    special = f32(NAN, INF, -INF, 0, -0.0, -1)
    inputs = {
        "exp": wide,
        "expm1": wide,
        "tanh": wide,
        "abs": wide,
        "negative": wide,
        "square": wide,
        "sign": wide,
        "floor": wide,
        "sin": wide[2:9],
        "cos": wide[2:9],
        "log": positive,
        "log1p": positive,
        "sqrt": positive,
        "rsqrt": positive,
        "reciprocal": positive,
    }
    for kind, x in inputs.items():
        fn = getattr(lax, kind) if kind == "rsqrt" else getattr(jnp, kind)
        yield op(f"{kind}/values", kind, fn, [x])
        yield op(f"{kind}/random", kind, fn, [np.abs(random_numbers(kind, (3, 4), span=4.0)) + 0.25])
        yield op(f"{kind}/special", kind, fn, [special], gradient=False)
        yield op(f"{kind}/empty", kind, fn, [np.zeros((0, 2), np.float32)])
    for kind in ("log", "sqrt", "rsqrt"):
        fn = getattr(lax, kind)
        yield op(f"{kind}/at_zero", kind, fn, [f32(0, 1)])
    for kind in ("abs", "negative", "sign", "square"):
        yield op(f"{kind}/int32", kind, getattr(jnp, kind), [i32(-3, 0, 5, -(2**31))])
    yield op("exp/int32", "exp", jnp.exp, [i32(-1, 0, 2)])
    x = random_numbers("stop_gradient", (3,))
    yield op("stop_gradient/partly", "x_times_stop_gradient_x", lambda x: x * lax.stop_gradient(x), [x])


def select():
    x, y = random_numbers("where:x", (2, 3)), random_numbers("where:y", (2, 3))
    mask = np.array([[True, False, True], [False, False, True]])
    yield op("where/2x3", "where", jnp.where, [mask, x, y])
    yield op("where/broadcast_condition", "where", jnp.where, [mask[0], x, y])
    yield op("where/broadcast_values", "where", jnp.where, [mask, x[0], f32(2)[0]])
    yield op("where/broadcast_out", "where", jnp.where, [mask[:, :1], x[0], y[0]])
    yield op("where/nan_not_taken", "where", jnp.where, [np.array([True, False]), f32(1, NAN), f32(NAN, 2)])
    yield op("where/int32_float32", "where", jnp.where, [np.array([True, False]), i32(1, 2), f32(0.5, 1.5)])
    yield op("where/empty", "where", jnp.where, [np.zeros((0, 3), bool), np.zeros((0, 3), np.float32), f32(1, 2, 3)])
    yield op(
        "clip/bounds",
        "clip",
        lambda x, min, max: jnp.clip(x, min, max),
        [f32(-2, -1, -0.5, 0, 0.5, 1, 2)],
        min=-1.0,
        max=1.0,
    )
    yield op("clip/lower_only", "clip", lambda x, min, max: jnp.clip(x, min, max), [f32(-2, 0, 1)], min=0.0, max=None)
    yield op("clip/upper_only", "clip", lambda x, min, max: jnp.clip(x, min, max), [f32(-2, 0, 1)], min=None, max=0.5)
    yield op("clip/crossed", "clip", lambda x, min, max: jnp.clip(x, min, max), [f32(-2, 0, 3)], min=1.0, max=-1.0)
    yield op(
        "clip/nan",
        "clip",
        lambda x, min, max: jnp.clip(x, min, max),
        [f32(NAN, INF, -INF)],
        gradient=False,
        min=-1.0,
        max=1.0,
    )
    yield op("clip/int32", "clip", lambda x, min, max: jnp.clip(x, min, max), [i32(-5, 0, 9)], min=-1, max=3)


def casts():
    """astype between all dtypes that exist with x64 off; float to int truncates and saturates, NaN gives 0."""
    floats = f32(
        0,
        -0.0,
        0.5,
        -0.5,
        1.9,
        -1.9,
        254.9,
        256,
        -129,
        2147483520,
        2147483648,
        -2147483648,
        4294967040,
        4294967296,
        1e20,
        -1e20,
        INF,
        -INF,
        NAN,
    )
    sources = {
        "float32": floats,
        "int32": i32(0, 1, -1, 255, 256, 16777217, 2**31 - 1, -(2**31)),
        "uint32": np.array([0, 1, 255, 256, 2**31, 2**32 - 1], np.uint32),
        "uint8": np.array([0, 1, 127, 255], np.uint8),
        "bool": np.array([False, True]),
    }
    for source, x in sources.items():
        for target in sources:
            yield op(
                f"astype/{source}_{target}",
                "astype",
                lambda x, dtype: x.astype(dtype),
                [x],
                gradient=False,
                dtype=target,
            )
