"""initializers.json: single initialisers. init_params.json: whole models as init makes them."""

import flax.linen as nn
import jax.numpy as jnp
from flax.linen import initializers as init
from jax import random

from . import models
from .encode import array, key_words, leaf, paths, random_numbers
from .random import KEYS, shape_name

PLAIN = {
    "zeros": {},
    "ones": {},
    "constant": {"value": 2.5},
    "normal": {"stddev": 0.01},
    "uniform": {"scale": 0.01},
    "truncated_normal": {"stddev": 0.01, "lower": -2.0, "upper": 2.0},
}
SCALED = [
    f"{family}_{kind}" for family in ("lecun", "glorot", "xavier", "he", "kaiming") for kind in ("normal", "uniform")
]
SHAPES = ((3, 4), (5, 5, 1, 6), (5, 5, 6, 16))


def initializer(label, name, args, fn, key_name, shape):
    key = KEYS[key_name]()
    out = fn(key, shape, jnp.float32)
    return {
        "name": f"{label}/{key_name}/{shape_name(shape)}",
        "initializer": name,
        "args": args,
        "key": key_words(key),
        "shape": list(shape),
        "output": leaf(out, limit=24),
    }


def initializers_cases():
    variants = [(name, name, args) for name, args in PLAIN.items()]
    variants += [
        ("normal/1", "normal", {"stddev": 1.0}),
        ("uniform/2", "uniform", {"scale": 2.0}),
        ("truncated_normal/-1..3", "truncated_normal", {"stddev": 0.5, "lower": -1.0, "upper": 3.0}),
    ]
    for label, name, args in variants:
        fn = getattr(init, name) if name in ("zeros", "ones") else getattr(init, name)(*args.values())
        if name == "truncated_normal":
            fn = init.truncated_normal(args["stddev"], lower=args["lower"], upper=args["upper"])
        for shape in ((), (0,), (5,), (3, 4), (5, 5, 1, 6)):
            yield initializer(label, name, args, fn, "key0", shape)
        yield initializer(label, name, args, fn, "folded", (2, 3))

    for mode in ("fan_in", "fan_out", "fan_avg", "fan_geo_avg"):
        for distribution in ("truncated_normal", "normal", "uniform"):
            for scale, key_name, shapes in ((1.0, "key0", SHAPES), (2.0, "folded", ((3, 4), (7, 1)))):
                args = {"scale": scale, "mode": mode, "distribution": distribution}
                fn = init.variance_scaling(scale, mode, distribution)
                for shape in shapes:
                    yield initializer(
                        f"variance_scaling/{mode}/{distribution}/{scale}", "variance_scaling", args, fn, key_name, shape
                    )
    for name in SCALED:
        for key_name, shape in (("key0", (3, 4)), ("key0", (5, 5, 1, 6)), ("key42", (5, 5, 6, 16)), ("folded", (1, 7))):
            yield initializer(name, name, {}, getattr(init, name)(), key_name, shape)
    for label, args in (("orthogonal", {"scale": 1.0}), ("orthogonal/2", {"scale": 2.0})):
        for key_name, shape in (
            ("key0", (2, 3)),
            ("key0", (4, 4)),
            ("key42", (5, 2)),
            ("folded", (3, 3, 2, 4)),
            ("key42", (1, 1)),
        ):
            yield initializer(label, "orthogonal", args, init.orthogonal(**args), key_name, shape)
    yield from fan_axes_cases()


def fan_axes_cases():
    """variance_scaling with axes of its own; that of Embed among them."""
    for label, axes, shape in (
        ("embed", {"in_axis": -2, "out_axis": 0}, (5, 3)),
        ("transposed", {"in_axis": -1, "out_axis": -2}, (3, 5)),
        ("two_inputs", {"in_axis": (0, 1), "out_axis": 2}, (2, 3, 4)),
        ("batch", {"in_axis": 1, "out_axis": 2, "batch_axis": 0}, (2, 3, 4)),
    ):
        for mode in ("fan_in", "fan_avg"):
            args = {"scale": 1.0, "mode": mode, "distribution": "normal"}
            fn = init.variance_scaling(*args.values(), **axes)
            case = initializer(f"variance_scaling/axes/{label}/{mode}", "variance_scaling", args, fn, "key0", shape)
            lists = {name: list(a) if isinstance(a, tuple) else [a] for name, a in axes.items()}
            yield {**case, "axes": lists}
    for shape in ((3, 2, 4), (4, 3, 2, 2), (1, 2, 3, 1, 2)):
        name, fn = "delta_orthogonal", init.delta_orthogonal(1.5)
        yield initializer(name, name, {"scale": 1.5}, fn, "key42", shape)


def derived_keys():
    """Keys as Scope::make_rng must derive them: {"path": [...], "count": n}."""
    for path, count in (
        ((), 1),
        ((), 2),
        ((), 3),
        (("Dense_0",), 1),
        (("Dense_0",), 2),
        (("Dense_1",), 1),
        (("Conv_0",), 1),
        (("BatchNorm_0",), 1),
        (("BatchNorm_0",), 2),
        (("Block_0", "Dense_0"), 1),
        (("Block_1", "Dropout_0"), 2),
        (("layers_0",), 1),
        (("a", "b", "c"), 255),
        (("a", "b", "c"), 256),
        (("AB", "C"), 1),
        (("A", "BC"), 1),
    ):
        for key_name in ("key0", "folded"):
            key = KEYS[key_name]()
            out = models.KeyAt(path, "params", count).apply({}, rngs={"params": key})
            yield {
                "name": f"derive/{'.'.join(path) or 'root'}/{count}/{key_name}",
                "kind": "derive",
                "key": key_words(key),
                "path": list(path),
                "count": count,
                "output": key_words(out),
            }


def init_case(label, model, x_shape, seed, kwargs):
    key = random.key(seed)
    variables = model.init(key, jnp.zeros(x_shape, jnp.float32), **kwargs)
    return {
        "name": f"{label}/{seed}",
        "kind": "init",
        "model": label,
        "seed": seed,
        "x_shape": list(x_shape),
        "variables": paths(variables, lambda v: leaf(v, limit=150)),
    }


def apply_case(label, model, x_shape, limit=64):
    """Forward pass in train mode with a dropout key: the masks depend on the derived keys."""
    key, dropout = random.key(0), random.fold_in(random.key(5), 9)
    x = jnp.asarray(random_numbers(label, x_shape))
    variables = model.init(key, x, train=False)
    out, updates = model.apply(variables, x, train=True, rngs={"dropout": dropout}, mutable=["batch_stats"])
    return {
        "name": f"{label}/apply",
        "kind": "apply",
        "model": label,
        "seed": 0,
        "rngs": {"dropout": key_words(dropout)},
        "x": array(x),
        "variables": paths(variables, lambda v: leaf(v, limit)),
        "output": array(out),
        "updates": paths(updates),
    }


def init_params_cases():
    yield from derived_keys()
    compact = {
        "mlp_batch_norm": (models.MLP(), (8, 3)),
        "mlp": (models.MLP(batch_norm=False), (8, 3)),
        "cnn": (models.CNN(), (6, 6, 6, 1)),
        "bn_lenet": (models.BNLeNet(), (1, 28, 28, 1)),
        "nested": (models.Nested(), (2, 3)),
        "shared": (models.Shared(), (2, 4)),
        "shared_statistics": (models.SharedStatistics(), (4, 3)),
        "names": (models.Names(), (2, 3)),
        "sequential_inside": (models.SequentialInside(), (2, 3)),
    }
    for label, (model, x_shape) in compact.items():
        for seed in (0, 1, 7):
            yield init_case(label, model, x_shape, seed, {"train": False})
    root = {
        "dense": (nn.Dense(4), (2, 3)),
        "conv": (nn.Conv(4, (3, 3)), (1, 5, 5, 2)),
        "sequential": (
            nn.Sequential([nn.Dense(4), nn.BatchNorm(use_running_average=True), nn.relu, nn.Dense(2)]),
            (2, 3),
        ),
    }
    for label, (model, x_shape) in root.items():
        for seed in (0, 1, 7):
            yield init_case(label, model, x_shape, seed, {})
    wide = {"resnet": (models.ResNet(), (2, 8, 8, 3)), "encoder": (models.Encoder(), (2, 3, 4))}
    for label, (model, x_shape) in wide.items():
        for seed in (0, 1):
            yield init_case(label, model, x_shape, seed, {"train": False})
        yield apply_case(label, model, x_shape, limit=400)
    for label in ("mlp_batch_norm", "nested", "shared", "shared_statistics", "names", "sequential_inside"):
        yield apply_case(label, *compact[label])
