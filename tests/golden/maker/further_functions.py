"""further_functions.json: activations that jax.nn alone has, as in activations.json, and further distributions of
jax.random, as in random.json."""

import jax
import jax.numpy as jnp
from jax import random

from .encode import array, random_numbers
from .functions import GRID, ones, options
from .random import sample


def activation(fn, args, label, x):
    x = jnp.asarray(x)
    output, vjp = jax.vjp(lambda x: getattr(jax.nn, fn)(x, **args), x)
    return {
        "name": f"{fn}{options(args)}/{label}",
        "kind": "activation",
        "fn": fn,
        "args": args,
        "x": array(x),
        "output": array(output),
        "grad": array(vjp(jnp.asarray(ones(output.shape)))[0]),
    }


def activations():
    for fn, args in (
        ("identity", {}),
        ("mish", {}),
        ("squareplus", {}),
        ("squareplus", {"b": 0.5}),
        ("sparse_plus", {}),
        ("sparse_sigmoid", {}),
    ):
        yield activation(fn, args, "grid", GRID)
        yield activation(fn, args, "random", random_numbers("further_functions", (3, 4), span=4.0))


def distributions():
    for key in ("key0", "folded"):
        for shape in ((), (5,), (0, 2), (2, 3), (200,)):
            yield sample("cauchy", key, shape, lambda k, s: random.cauchy(k, s))
            yield sample("maxwell", key, shape, lambda k, s: random.maxwell(k, s))
            for sigma in (1.0, 0.25):
                draw = lambda k, s, sigma=sigma: random.lognormal(k, sigma, s)  # noqa: E731
                yield sample("lognormal", key, shape, draw, f"{sigma}", sigma=sigma)
            for scale in (1.0, 2.5):
                draw = lambda k, s, scale=scale: random.rayleigh(k, scale, s)  # noqa: E731
                yield sample("rayleigh", key, shape, draw, f"{scale}", scale=scale)
            for b in (1.5, 4.0):
                yield sample("pareto", key, shape, lambda k, s, b=b: random.pareto(k, b, s), f"{b}", b=b)
            for scale, concentration in ((1.0, 1.0), (2.0, 3.0), (0.5, 0.75)):

                def draw(k, s, scale=scale, concentration=concentration):
                    return random.weibull_min(k, scale, concentration, s)

                yield sample("weibull_min", key, shape, draw, f"{scale}_{concentration}", scale=scale,
                             concentration=concentration)
            for left, mode, right in ((0.0, 0.5, 1.0), (-2.0, -2.0, 3.0), (1.0, 4.0, 4.0)):

                def draw(k, s, left=left, mode=mode, right=right):
                    return random.triangular(k, left, mode, right, s)

                yield sample("triangular", key, shape, draw, f"{left}_{mode}_{right}", left=left, mode=mode,
                             right=right)
            for p in (0.125, 0.5, 0.9):
                yield sample("geometric", key, shape, lambda k, s, p=p: random.geometric(k, p, s), f"{p}", p=p)


def further_functions_cases():
    yield from activations()
    yield from distributions()
