"""One case of ops.json."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from .encode import array, number, random_numbers


def plain(value):
    if isinstance(value, (tuple, list)):
        return [plain(v) for v in value]
    return number(value, "f") if isinstance(value, float) else value


def op(name, kind, fn, inputs, *, gradient=True, **attrs):
    """Gradients are those of sum(output * cotangent); null for inputs that have none."""
    inputs = [jnp.asarray(x) for x in inputs]
    fn = functools.partial(fn, **attrs)
    output = fn(*inputs)
    case = {
        "name": name,
        "op": kind,
        "attrs": {k: plain(v) for k, v in attrs.items()},
        "inputs": [array(x) for x in inputs],
        "output": array(output),
    }
    if gradient and jnp.issubdtype(output.dtype, jnp.floating):
        inexact = [i for i, x in enumerate(inputs) if jnp.issubdtype(x.dtype, jnp.floating)]

        def of_floats(*floats):
            given = dict(zip(inexact, floats, strict=True))
            return fn(*[given.get(i, x) for i, x in enumerate(inputs)])

        cotangent = jnp.asarray(random_numbers(f"{name}:cotangent", output.shape))
        grads = dict(zip(inexact, jax.vjp(of_floats, *[inputs[i] for i in inexact])[1](cotangent), strict=True))
        case["cotangent"] = array(cotangent)
        case["grads"] = [array(grads[i]) if i in grads else None for i in range(len(inputs))]
    return case


def f32(*values):
    return np.array(values, np.float32)


def i32(*values):
    return np.array(values, np.int32)
