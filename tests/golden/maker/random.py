"""random.json: keys, bits and samplers of jax.random (default threefry, partitionable)."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import random

from .encode import array, key_words, leaf, number, random_numbers, summary

KEYS = {
    "key0": lambda: random.key(0),
    "key42": lambda: random.key(42),
    "folded": lambda: random.fold_in(random.key(7), 3),
}


def shape_name(shape):
    return "x".join(map(str, shape)) if shape else "scalar"


def sample(kind, key_name, shape, fn, label="", **attrs):
    key = KEYS[key_name]()
    name = "/".join(part for part in (kind, label, key_name, shape_name(shape)) if part)
    attrs = {k: number(v, "f") if isinstance(v, float) else v for k, v in attrs.items()}
    out = fn(key, shape)
    assert out.shape == tuple(shape)
    return {"name": name, "kind": kind, "key": key_words(key), **attrs, "shape": list(shape), "output": leaf(out)}


def keys():
    for seed in (0, 1, 42, -1, 2**31 - 1, -(2**31), 2**32 + 5):
        yield {"name": f"key/{seed}", "kind": "key", "seed": seed, "key": key_words(random.key(seed))}
    for name, make in KEYS.items():
        for n in (1, 2, 3, 5):
            out = random.key_data(random.split(make(), n))
            yield {"name": f"split/{name}/{n}", "kind": "split", "key": key_words(make()), "n": n, "output": array(out)}
        for data in (0, 1, 4, 255, 65536, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF):
            out = random.key_data(random.fold_in(make(), np.uint32(data)))
            yield {
                "name": f"fold_in/{name}/{data}",
                "kind": "fold_in",
                "key": key_words(make()),
                "data": data,
                "output": array(out),
            }


def bits_and_floats():
    for shape in ((), (0,), (1,), (3,), (5,), (2, 3), (7, 1, 3), (0, 4), (33,)):
        yield sample("bits", "key0", shape, lambda k, s: random.bits(k, s))
    for shape in ((), (4,), (300,)):
        yield sample("bits", "folded", shape, lambda k, s: random.bits(k, s))

    for low, high, shapes in (
        (0.0, 1.0, ((), (0,), (3,), (2, 3), (7, 1, 3), (64,), (1000,))),
        (-1.0, 1.0, ((3,), (5, 0, 2), (4, 4), (1000,))),
        (2.5, 7.0, ((1,), (3, 3), (33,))),
    ):
        for shape in shapes:
            yield sample(
                "uniform",
                "key0",
                shape,
                lambda k, s: random.uniform(k, s, minval=low, maxval=high),
                f"{low}..{high}",
                minval=low,
                maxval=high,
            )
    yield sample("uniform", "folded", (17,), lambda k, s: random.uniform(k, s), minval=0.0, maxval=1.0)

    for name, shape in (
        ("key0", ()),
        ("key0", (0,)),
        ("key0", (4,)),
        ("key42", (3,)),
        ("key42", (2, 3, 5)),
        ("folded", (13,)),
        ("folded", (3, 0)),
        ("key0", (10000,)),
    ):
        yield sample("normal", name, shape, lambda k, s: random.normal(k, s))
    for low, high in ((-2.0, 2.0), (-0.5, 1.5), (0.0, 3.0), (1.0, float("inf"))):
        for name, shape in (("key0", ()), ("key42", (2, 3)), ("folded", (37,)), ("key0", (0, 2)), ("key0", (5000,))):
            yield sample(
                "truncated_normal",
                name,
                shape,
                lambda k, s: random.truncated_normal(k, low, high, s),
                f"{low}..{high}",
                lower=low,
                upper=high,
            )
    for shape in ((), (5,), (2, 9)):
        yield sample("gumbel", "key42", shape, lambda k, s: random.gumbel(k, s))
        yield sample("exponential", "key42", shape, lambda k, s: random.exponential(k, s))


def discrete():
    for p in (0.5, 0.3, 0.9, 0.0, 1.0):
        for name, shape in (("key0", ()), ("key0", (16,)), ("folded", (3, 7)), ("key42", (0,)), ("key42", (1000,))):
            yield sample("bernoulli", name, shape, lambda k, s: random.bernoulli(k, p, s), str(p), p=p)
    for low, high in (
        (0, 9),
        (0, 10),
        (-5, 6),
        (0, 1),
        (0, 256),
        (100, 1000000),
        (3, 3),
        (5, 2),
        (-(2**31), 2**31 - 1),
    ):
        for name, shape in (("key0", (9,)), ("folded", (2, 3, 2))):
            yield sample(
                "randint",
                name,
                shape,
                lambda k, s: random.randint(k, s, low, high),
                f"{low}..{high}",
                minval=low,
                maxval=high,
            )
    yield sample("randint", "key42", (), lambda k, s: random.randint(k, s, 0, 10), minval=0, maxval=10)
    yield sample("randint", "key42", (0, 3), lambda k, s: random.randint(k, s, 0, 10), minval=0, maxval=10)

    for name in ("key0", "key42"):
        for n in (0, 1, 2, 3, 10, 100, 1625, 1626, 2000):
            out = random.permutation(KEYS[name](), n)
            yield {
                "name": f"permutation/{name}/{n}",
                "kind": "permutation",
                "key": key_words(KEYS[name]()),
                "n": n,
                "output": leaf(out, limit=100, head=50),
            }
    for shape, axis in (((5, 2), 0), ((2, 7), 1), ((6,), 0)):
        x = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
        out = random.permutation(KEYS["key0"](), jnp.asarray(x), axis=axis)
        yield {
            "name": f"permutation_of_array/{shape_name(shape)}/{axis}",
            "kind": "permutation_of_array",
            "key": key_words(KEYS["key0"]()),
            "x": array(x),
            "axis": axis,
            "output": array(out),
        }

    logits = random_numbers("categorical", (4, 5))
    for label, axis, shape in (("default", -1, None), ("axis0", 0, None), ("shape", -1, (3, 4))):
        out = random.categorical(KEYS["key0"](), jnp.asarray(logits), axis=axis, shape=shape)
        yield {
            "name": f"categorical/{label}",
            "kind": "categorical",
            "key": key_words(KEYS["key0"]()),
            "axis": axis,
            "shape": list(out.shape),
            "logits": array(logits),
            "output": array(out),
        }


# Empty, odd, long and many-axed shapes, one key for all.
SHAPES = (
    *((), (0,), (1,), (2,), (3,), (7,), (8,), (9,), (15,), (16,), (17,), (31,), (33,), (127,), (1025,), (0, 3), (3, 0)),
    *((1, 1), (5, 1), (1, 5), (3, 5), (13, 17), (2, 0, 2), (3, 1, 2), (2, 3, 5), (1, 2, 3, 4), (2, 1, 2, 1, 3), (70000,)),
)


def shapes():
    for shape in SHAPES:
        for kind, draw, attrs in (
            ("bits", lambda k, s: random.bits(k, s), {}),
            ("uniform", lambda k, s: random.uniform(k, s), {"minval": 0.0, "maxval": 1.0}),
            ("normal", lambda k, s: random.normal(k, s), {}),
            ("truncated_normal", lambda k, s: random.truncated_normal(k, -2.0, 2.0, s), {"lower": -2.0, "upper": 2.0}),
            ("gumbel", lambda k, s: random.gumbel(k, s), {}),
            ("exponential", lambda k, s: random.exponential(k, s), {}),
            ("laplace", lambda k, s: random.laplace(k, s), {}),
            ("logistic", lambda k, s: random.logistic(k, s), {}),
        ):
            case = sample(kind, "folded", shape, draw, "shapes", **attrs)
            if np.prod(shape) > 3:
                out = draw(KEYS["folded"](), shape)
                case["output"] = summary(out, head=3)
            yield case


def choices():
    """Drawing from ranges and Arrays, with and without replacement and probabilities."""
    p = {
        "uneven": np.array([0.1, 0.2, 0.3, 0.15, 0.25], np.float32),
        "zeros": np.array([0.0, 0.5, 0.0, 0.5, 0.0, 1.0], np.float32),
        "one": np.array([2.0], np.float32),
        "many": (np.abs(random_numbers("choice", (300,))) + 1 / 64).astype(np.float32),
    }
    for name in ("key0", "folded"):
        for label, n, shape, replace, chances in (
            ("range", 5, (3,), True, None),
            ("scalar", 5, (), True, None),
            ("empty", 5, (0, 2), True, None),
            ("empty_of_nothing", 0, (0,), True, None),
            ("matrix", 10, (2, 3), True, None),
            ("without", 10, (2, 3), False, None),
            ("without_all", 7, (7,), False, None),
            ("p", 5, (4, 2), True, "uneven"),
            ("p_zeros", 6, (20,), True, "zeros"),
            ("p_one", 1, (3,), True, "one"),
            ("p_many", 300, (50,), True, "many"),
            ("p_without", 5, (3,), False, "uneven"),
            ("p_without_zeros", 6, (3,), False, "zeros"),
            ("p_without_many", 300, (5, 4), False, "many"),
        ):
            chance = None if chances is None else jnp.asarray(p[chances])
            out = random.choice(KEYS[name](), n, shape, replace, chance)
            yield {
                "name": f"choice/{label}/{name}",
                "kind": "choice",
                "key": key_words(KEYS[name]()),
                "n": n,
                "shape": list(shape),
                "replace": replace,
                **({} if chances is None else {"p": chances}),
                "output": array(out),
            }
        for shape, axis, draws, replace, chances in (
            ((5, 2), 0, (3,), True, None),
            ((2, 5), 1, (2, 2), True, "uneven"),
            ((2, 5), -1, (3,), False, None),
            ((3, 5, 2), 1, (2,), False, "uneven"),
            ((3, 5, 2), -2, (), True, None),
        ):
            x = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
            chance = None if chances is None else jnp.asarray(p[chances])
            out = random.choice(KEYS[name](), jnp.asarray(x), draws, replace, chance, axis)
            yield {
                "name": f"choice_of_array/{name}/{shape_name(shape)}/{axis}",
                "kind": "choice_of_array",
                "key": key_words(KEYS[name]()),
                "x_shape": list(shape),
                "axis": axis,
                "shape": list(draws),
                "replace": replace,
                **({} if chances is None else {"p": chances}),
                "output": array(out),
            }
    for label, chances in p.items():
        yield {"name": f"choice_p/{label}", "kind": "choice_p", "label": label, "p": array(chances)}


def further():
    for shape, axis in (((5, 3), 0), ((3, 5), 1), ((2, 3, 4), -1), ((6,), 0), ((0, 3), 0)):
        x = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
        out = random.permutation(KEYS["key42"](), jnp.asarray(x), axis=axis, independent=True)
        yield {
            "name": f"independent_permutation/{shape_name(shape)}/{axis}",
            "kind": "independent_permutation",
            "key": key_words(KEYS["key42"]()),
            "x": array(x),
            "axis": axis,
            "output": array(out),
        }
    p = np.array([[0.0, 0.25, 0.5], [0.75, 1.0, 2.0]], np.float32)
    for shape in (None, (4, 2, 3)):
        out = random.bernoulli(KEYS["key0"](), jnp.asarray(p), shape)
        yield {
            "name": f"bernoulli_each/{shape_name(out.shape)}",
            "kind": "bernoulli_each",
            "key": key_words(KEYS["key0"]()),
            "p": array(p),
            "shape": list(out.shape),
            "output": array(out),
        }
    for shape in ((), (0,), (3, 5)):
        yield sample("rademacher", "key42", shape, lambda k, s: random.rademacher(k, s))
    logits = random_numbers("categorical:without", (3, 6))
    for label, axis, shape in (("default", -1, (4, 3)), ("axis0", 0, (3, 6)), ("two", 1, (2, 2, 3)), ("one", -1, (3,))):
        out = random.categorical(KEYS["key0"](), jnp.asarray(logits), axis=axis, shape=shape, replace=False)
        yield {
            "name": f"categorical_without/{label}",
            "kind": "categorical_without",
            "key": key_words(KEYS["key0"]()),
            "axis": axis,
            "shape": list(out.shape),
            "logits": array(logits),
            "output": array(out),
        }


def random_cases():
    assert jax.config.jax_threefry_partitionable and not jax.config.jax_enable_x64
    yield from keys()
    yield from bits_and_floats()
    yield from discrete()
    yield from shapes()
    yield from choices()
    yield from further()
