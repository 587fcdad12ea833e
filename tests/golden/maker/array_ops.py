"""ops.json: reductions, products, convolutions, and what moves elements about."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from .encode import random_numbers
from .op import f32, i32, op
from .random import shape_name

NAN, INF = np.nan, np.inf


def reduce():
    axes = ((2, 3, 4), (None, 0, 1, -1, (0, 2), (0, 1, 2), ()))
    for kind in ("sum", "mean", "var", "max", "min", "prod"):
        fn = getattr(jnp, kind)
        for axis in axes[1]:
            for keepdims in (False, True):
                label = (
                    "all"
                    if axis is None
                    else "none"
                    if axis == ()
                    else shape_name(axis)
                    if isinstance(axis, tuple)
                    else axis
                )
                name = f"{kind}/axis_{label}{'/keepdims' if keepdims else ''}"
                if not keepdims or axis in (None, 1, (0, 2)):
                    yield op(name, kind, fn, [random_numbers(kind, axes[0])], axis=axis, keepdims=keepdims)
        yield op(f"{kind}/scalar", kind, fn, [np.float32(1.5)], axis=None, keepdims=False)
        yield op(f"{kind}/size_1_axis", kind, fn, [random_numbers(kind, (3, 1))], axis=1, keepdims=False)
        yield op(f"{kind}/empty_output", kind, fn, [np.zeros((0, 3), np.float32)], axis=1, keepdims=False)
        if kind in ("sum", "mean", "var", "prod"):
            yield op(f"{kind}/of_empty", kind, fn, [np.zeros((0, 3), np.float32)], axis=0, keepdims=False)
            yield op(f"{kind}/of_empty_all", kind, fn, [np.zeros((0,), np.float32)], axis=None, keepdims=False)
        if kind in ("sum", "mean", "max", "min"):
            yield op(f"{kind}/nan", kind, fn, [f32(1, NAN, 2)], gradient=False, axis=None, keepdims=False)
            yield op(f"{kind}/int32", kind, fn, [i32(3, -5, 2)], axis=None, keepdims=False)
        if kind in ("max", "min"):
            yield op(
                f"{kind}/ties",
                kind,
                fn,
                [np.array([[1, 3, 3, 3], [2, 2, 1, 0], [0, 0, 0, 0]], np.float32)],
                axis=1,
                keepdims=False,
            )
            yield op(f"{kind}/ties_all", kind, fn, [np.array([[1, 3], [3, 1]], np.float32)], axis=None, keepdims=True)
    yield op("prod/zero", "prod", jnp.prod, [np.array([[0, 2, 3], [0, 0, 1]], np.float32)], axis=1, keepdims=False)
    yield op("sum/bool", "sum", jnp.sum, [np.array([True, True, False])], axis=None, keepdims=False)
    yield op("sum/uint8", "sum", jnp.sum, [np.array([200, 100], np.uint8)], axis=None, keepdims=False)
    yield op("mean/bool", "mean", jnp.mean, [np.array([True, True, False])], axis=None, keepdims=False)
    yield op(
        "sum/thousand",
        "sum",
        jnp.sum,
        [np.float32(0.1) * np.ones(1000, np.float32)],
        gradient=False,
        axis=None,
        keepdims=False,
    )
    for kind in ("argmax", "argmin"):
        fn = getattr(jnp, kind)
        x = random_numbers(kind, (3, 4))
        for axis in (None, 0, -1):
            yield op(f"{kind}/axis_{'all' if axis is None else axis}", kind, fn, [x], axis=axis, keepdims=False)
        yield op(f"{kind}/keepdims", kind, fn, [x], axis=1, keepdims=True)
        yield op(f"{kind}/ties", kind, fn, [np.array([[1, 3, 3], [0, 0, 0]], np.float32)], axis=1, keepdims=False)
        yield op(
            f"{kind}/nan", kind, fn, [np.array([[1, NAN, NAN], [INF, 0, NAN]], np.float32)], axis=1, keepdims=False
        )
        yield op(f"{kind}/int32", kind, fn, [i32(3, 9, -5, 9)], axis=0, keepdims=False)
        yield op(f"{kind}/empty_output", kind, fn, [np.zeros((0, 3), np.float32)], axis=1, keepdims=False)


def products():
    pairs = (
        ((2, 3), (3, 4)),
        ((3,), (3,)),
        ((2, 3), (3,)),
        ((3,), (3, 4)),
        ((5, 2, 3), (5, 3, 4)),
        ((5, 2, 3), (3, 4)),
        ((2, 3), (5, 3, 1)),
        ((2, 1, 2, 3), (4, 3, 2)),
        ((4, 2, 3), (3,)),
        ((3,), (2, 3, 2)),
        ((0, 3), (3, 2)),
        ((2, 0), (0, 3)),
        ((1, 1), (1, 1)),
        ((0, 2, 3), (3, 2)),
        ((7, 5), (5, 3)),
    )
    for a, b in pairs:
        name = f"matmul/{shape_name(a)}_{shape_name(b)}"
        yield op(name, "matmul", jnp.matmul, [random_numbers(f"{name}:a", a), random_numbers(f"{name}:b", b)])
    for a, b in (((3,), (3,)), ((2, 3), (3, 4)), ((2, 3), (3,)), ((2, 3), (4, 3, 2)), ((), (2, 3)), ((2, 3, 4), (4,))):
        name = f"dot/{shape_name(a)}_{shape_name(b)}"
        yield op(name, "dot", jnp.dot, [random_numbers(f"{name}:a", a), random_numbers(f"{name}:b", b)])
    yield op(
        "matmul/int32",
        "matmul",
        jnp.matmul,
        [np.arange(6, dtype=np.int32).reshape(2, 3), np.arange(6, dtype=np.int32).reshape(3, 2)],
    )


def conv(x, kernel, *, window_strides, padding, lhs_dilation, rhs_dilation, feature_group_count):
    letters = "".join("DHW"[-(x.ndim - 2) :])
    numbers = (f"N{letters}C", f"{letters}IO", f"N{letters}C")
    return lax.conv_general_dilated(
        x, kernel, window_strides, padding, lhs_dilation, rhs_dilation, numbers, feature_group_count=feature_group_count
    )


def convolutions():
    """Channels last: input N...C, kernel ...IO, output N...C. Padding is a name or pairs."""
    cases = (
        ("1d_valid", (2, 6, 2), (3, 2, 3), {}),
        ("1d_same_stride2", (2, 7, 2), (3, 2, 2), {"window_strides": (2,), "padding": "SAME"}),
        ("2d_valid", (2, 5, 4, 2), (3, 2, 2, 3), {}),
        ("2d_same", (1, 4, 5, 2), (3, 3, 2, 2), {"padding": "SAME"}),
        ("2d_same_even", (1, 4, 5, 2), (2, 4, 2, 2), {"padding": "SAME"}),
        ("2d_same_stride_2x3", (1, 7, 8, 1), (3, 3, 1, 2), {"window_strides": (2, 3), "padding": "SAME"}),
        ("2d_asymmetric", (1, 4, 4, 2), (3, 3, 2, 2), {"padding": ((2, 0), (1, 3))}),
        ("2d_stride_leaves_rest", (1, 6, 6, 1), (3, 3, 1, 2), {"window_strides": (2, 2)}),
        ("2d_lhs_dilation", (1, 3, 4, 2), (3, 3, 2, 2), {"lhs_dilation": (2, 3), "padding": ((1, 1), (2, 1))}),
        ("2d_rhs_dilation", (1, 6, 7, 2), (3, 2, 2, 2), {"rhs_dilation": (2, 3), "padding": ((1, 0), (0, 2))}),
        (
            "2d_both_dilations_stride",
            (1, 4, 4, 1),
            (2, 3, 1, 2),
            {"lhs_dilation": (2, 2), "rhs_dilation": (3, 2), "window_strides": (2, 1), "padding": ((2, 3), (1, 2))},
        ),
        ("2d_groups", (2, 4, 4, 4), (3, 3, 2, 6), {"feature_group_count": 2, "padding": "SAME"}),
        ("2d_depthwise_multiplier2", (1, 4, 4, 3), (2, 2, 1, 6), {"feature_group_count": 3}),
        ("2d_negative_padding", (1, 6, 6, 1), (2, 2, 1, 2), {"padding": ((-1, 2), (1, -2))}),
        ("2d_window_covers_input", (2, 3, 3, 2), (3, 3, 2, 4), {}),
        ("2d_pointwise", (2, 3, 3, 3), (1, 1, 3, 2), {}),
        ("2d_kernel_wider_than_input", (1, 2, 3, 1), (5, 5, 1, 2), {"padding": "SAME"}),
        ("2d_empty_batch", (0, 4, 4, 1), (3, 3, 1, 2), {}),
        ("2d_empty_output", (1, 2, 4, 1), (3, 3, 1, 2), {}),
        ("3d_valid", (1, 3, 4, 3, 2), (2, 2, 2, 2, 2), {}),
        (
            "3d_stride_dilation",
            (1, 5, 4, 5, 1),
            (2, 2, 2, 1, 2),
            {"window_strides": (1, 2, 1), "rhs_dilation": (2, 1, 3), "padding": "SAME"},
        ),
    )
    for label, x, kernel, options in cases:
        rank = len(x) - 2
        attrs = {
            "window_strides": (1,) * rank,
            "padding": "VALID",
            "lhs_dilation": (1,) * rank,
            "rhs_dilation": (1,) * rank,
            "feature_group_count": 1,
            **options,
        }
        name = f"conv_general_dilated/{label}"
        yield op(
            name,
            "conv_general_dilated",
            conv,
            [random_numbers(f"{name}:x", x), random_numbers(f"{name}:kernel", kernel)],
            **attrs,
        )


def shapes():
    x = random_numbers("take", (4, 3))
    for label, value, indices, axis in (
        ("axis0", x, i32(2, 0, 2), 0),
        ("axis1", x, i32(1, 1), 1),
        ("negative", x, i32(-1, -4, 3), 0),
        ("out_of_range", x, i32(4, 0, -5, 99), 0),
        ("axis_negative", x, i32(2, 0), -1),
        ("empty", x, i32(), 0),
        ("2d_indices", x, np.array([[0, 1], [3, 3]], np.int32), 0),
        ("scalar_index", x, np.int32(1), 0),
        ("uint8_indices", x, np.array([3, 1], np.uint8), 0),
        ("int32_out_of_range", i32(5, 6, 7), i32(2, 3, -4), 0),
    ):
        yield op(
            f"take/{label}",
            "take",
            lambda x, indices, axis: jnp.take(x, indices, axis=axis),
            [value, indices],
            axis=axis,
        )

    def one_hot(x, *, num_classes, axis=-1):
        return jax.nn.one_hot(x, num_classes, axis=axis)

    for label, indices, attrs in (
        ("plain", i32(0, 2, 1), {"num_classes": 3}),
        ("out_of_range", i32(-1, 3, 4, 0, -3), {"num_classes": 3}),
        ("2d", np.array([[0, 1], [2, 0]], np.int32), {"num_classes": 3}),
        ("axis0", i32(0, 2), {"num_classes": 3, "axis": 0}),
        ("empty", i32(), {"num_classes": 4}),
        ("uint8", np.array([1, 0], np.uint8), {"num_classes": 2}),
        ("scalar", np.int32(1), {"num_classes": 2}),
    ):
        yield op(f"one_hot/{label}", "one_hot", one_hot, [indices], gradient=False, **attrs)

    def pad(x, *, pad_width, constant_values=0.0):
        return jnp.pad(x, pad_width, constant_values=constant_values)

    y = random_numbers("pad", (2, 3))
    yield op("pad/asymmetric", "pad", pad, [y], pad_width=((1, 0), (0, 2)))
    yield op("pad/value", "pad", pad, [y], pad_width=((0, 1), (1, 1)), constant_values=1.5)
    yield op("pad/none", "pad", pad, [y], pad_width=((0, 0), (0, 0)))
    yield op("pad/of_empty", "pad", pad, [np.zeros((0, 2), np.float32)], pad_width=((1, 1), (0, 1)))

    def lax_pad(x, *, padding_config, padding_value=0.0):
        return lax.pad(x, np.float32(padding_value), padding_config)

    yield op("lax_pad/interior", "lax_pad", lax_pad, [y], padding_config=((1, 0, 1), (0, 2, 2)))
    yield op(
        "lax_pad/negative",
        "lax_pad",
        lax_pad,
        [random_numbers("lax_pad", (4, 5))],
        padding_config=((-1, 0, 0), (2, -2, 0)),
        padding_value=0.5,
    )
    yield op(
        "lax_pad/negative_interior",
        "lax_pad",
        lax_pad,
        [random_numbers("lax_pad", (3, 4))],
        padding_config=((-2, 1, 1), (1, -3, 2)),
    )

    def slice_(x, *, start_indices, limit_indices, strides):
        return lax.slice(x, start_indices, limit_indices, strides)

    z = random_numbers("slice", (5, 4))
    for label, start, limit, strides in (
        ("plain", (1, 0), (4, 3), None),
        ("strides", (0, 1), (5, 4), (2, 3)),
        ("strides_rest", (1, 0), (5, 4), (3, 2)),
        ("empty", (2, 1), (2, 4), None),
        ("whole", (0, 0), (5, 4), (1, 1)),
    ):
        yield op(f"slice/{label}", "slice", slice_, [z], start_indices=start, limit_indices=limit, strides=strides)

    def join(fn):
        return lambda *xs, axis: fn(xs, axis=axis)

    a, b, c = (random_numbers(n, s) for n, s in (("a", (2, 3)), ("b", (1, 3)), ("c", (2, 3))))
    yield op("concatenate/axis0", "concatenate", join(jnp.concatenate), [a, b, c], axis=0)
    yield op("concatenate/axis_negative", "concatenate", join(jnp.concatenate), [a, c[:, :1]], axis=-1)
    yield op(
        "concatenate/empty_part", "concatenate", join(jnp.concatenate), [a, np.zeros((0, 3), np.float32), b], axis=0
    )
    yield op("concatenate/one", "concatenate", join(jnp.concatenate), [a], axis=1)
    yield op("concatenate/int32_float32", "concatenate", join(jnp.concatenate), [i32(1, 2), f32(0.5)], axis=0)
    for axis in (0, 1, -1):
        yield op(f"stack/axis_{axis}", "stack", join(jnp.stack), [a, c], axis=axis)
    t = random_numbers("transpose", (2, 3, 4))
    yield op("transpose/reverse", "transpose", jnp.transpose, [t], axes=None)
    yield op("transpose/201", "transpose", jnp.transpose, [t], axes=(2, 0, 1))
    yield op("broadcast_to/rows", "broadcast_to", jnp.broadcast_to, [f32(1, 2, 3)], shape=(2, 3))
    yield op(
        "broadcast_to/columns", "broadcast_to", jnp.broadcast_to, [random_numbers("columns", (2, 1))], shape=(3, 2, 4)
    )
    yield op("broadcast_to/empty", "broadcast_to", jnp.broadcast_to, [random_numbers("columns", (2, 1))], shape=(2, 0))
    yield op("reshape/2x3x4_to_4x6", "reshape", jnp.reshape, [t], shape=(4, 6))
    yield op("reshape/minus_one", "reshape", jnp.reshape, [t], shape=(2, -1))
