"""gamma.json: the distributions of jax.random that are made of gamma draws, as in random.json; arrays of parameters."""

import jax.numpy as jnp
from jax import random

from .encode import array
from .random import sample

SHAPES = ((), (5,), (0, 2), (2, 3), (200,))
KEYS = ("key0", "folded")


def scalars():
    """One number for all draws."""
    for key in KEYS:
        for shape in SHAPES:
            for a in (0.125, 0.75, 1.0, 2.5, 40.0):
                yield sample("gamma", key, shape, lambda k, s, a=a: random.gamma(k, a, s), f"{a}", a=a)
                yield sample("loggamma", key, shape, lambda k, s, a=a: random.loggamma(k, a, s), f"{a}", a=a)
            for a, b in ((0.5, 0.5), (2.0, 5.0), (30.0, 0.25)):
                draw = lambda k, s, a=a, b=b: random.beta(k, a, b, s)  # noqa: E731
                yield sample("beta", key, shape, draw, f"{a}_{b}", a=a, b=b)
            for df in (0.5, 3.0, 24.0):
                yield sample("chisquare", key, shape, lambda k, s, df=df: random.chisquare(k, df, s), f"{df}", df=df)
                yield sample("t", key, shape, lambda k, s, df=df: random.t(k, df, s), f"{df}", df=df)
            for dfnum, dfden in ((2.0, 7.0), (11.0, 0.5)):
                draw = lambda k, s, n=dfnum, d=dfden: random.f(k, n, d, s)  # noqa: E731
                yield sample("f", key, shape, draw, f"{dfnum}_{dfden}", dfnum=dfnum, dfden=dfden)
            for p in (1.0, 2.0, 3.5):
                draw = lambda k, s, p=p: random.generalized_normal(k, p, s)  # noqa: E731
                yield sample("generalized_normal", key, shape, draw, f"{p}", p=p)


def arrays():
    """A number for each draw, or for rows of them; of these the kind of a case names the parameters."""
    key = random.fold_in(random.key(7), 1)
    a = jnp.array([[0.25, 1.0, 2.5], [7.0, 0.9, 100.0]])
    b = jnp.array([0.5, 3.0, 1.5])
    cases = {
        "gamma": (random.gamma, {"a": a}, None),
        "gamma/rows": (random.gamma, {"a": b}, (4, 3)),
        "loggamma": (random.loggamma, {"a": a}, None),
        "beta": (random.beta, {"a": a, "b": b}, None),
        "beta/rows": (random.beta, {"a": a, "b": b}, (2, 2, 3)),
        "dirichlet": (random.dirichlet, {"alpha": b}, None),
        "dirichlet/rows": (random.dirichlet, {"alpha": a}, (3, 2)),
        "dirichlet/one": (random.dirichlet, {"alpha": b[:1]}, (4,)),
        "chisquare": (random.chisquare, {"df": a}, None),
        "t": (random.t, {"df": b}, (4, 3)),
        "f": (random.f, {"dfnum": a, "dfden": a + 1.0}, None),
    }
    for name, (fn, parameters, shape) in cases.items():
        yield {
            "name": f"arrays/{name}",
            "kind": "arrays",
            "fn": fn.__name__,
            "key": [int(word) for word in random.key_data(key)],
            "parameters": {k: array(v) for k, v in parameters.items()},
            "shape": None if shape is None else list(shape),
            "output": array(fn(key, *parameters.values(), shape=shape)),
        }


def others():
    for key in KEYS:
        for shape in ((4,), (2, 3)):
            for loc, scale in ((0.0, 1.0), (1.5, 0.25)):
                draw = lambda k, s, loc=loc, scale=scale: random.double_sided_maxwell(k, loc, scale, s)  # noqa: E731
                yield sample("double_sided_maxwell", key, shape, draw, f"{loc}_{scale}", loc=loc, scale=scale)
        for shape in SHAPES:
            for mean in (0.5, 3.0):
                yield sample("wald", key, shape, lambda k, s, m=mean: random.wald(k, m, s), f"{mean}", mean=mean)
            for d, p in ((2, 2.0), (3, 1.0)):
                draw = lambda k, s, d=d, p=p: random.ball(k, d, p, s[:-1])  # noqa: E731
                if shape and shape[-1] == d:
                    yield sample("ball", key, shape, draw, f"{p}", p=p)


def gamma_cases():
    yield from scalars()
    yield from arrays()
    yield from others()
