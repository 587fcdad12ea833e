"""Cases of layers that are called inside a module: any number of inputs and outputs."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import random

from .encode import array, key_words, random_numbers
from .layers import plain


class Caller(nn.Module):
    """Calls `body` in a compact method, so that what it makes is named there."""

    body: Callable

    @nn.compact
    def __call__(self, *inputs):
        return self.body(*inputs)


def nested(tree):
    """A nested dictionary with encoded leaves; keys may hold slashes."""
    if isinstance(tree, dict):
        return {key: nested(value) for key, value in sorted(tree.items())}
    return array(tree)


def fill(variables, label):
    """Arbitrary values in place of the initial ones; scales and standard deviations stay away from zero."""

    def value(path, leaf):
        if path[0].key == "cache":
            return leaf
        name = "/".join(str(k.key) for k in path)
        out = random_numbers(f"{label}:{name}", leaf.shape, span=1.0)
        if path[-1].key == "var" or name.endswith("sigma"):
            return jnp.asarray(np.abs(out) + 0.25)
        return jnp.asarray(out + 1.5 if name.endswith("scale") else out)

    return jax.tree_util.tree_map_with_path(value, variables)


def differentiable(value):
    return jnp.issubdtype(jnp.asarray(value).dtype, jnp.floating)


def call(name, layer, config, body, inputs, *, rngs=None, module=None, extra=None):
    """One case: gradients are those of sum(output * weights) over all outputs, with respect to every float input and
    to every parameter. `module` stands for Caller(body) where the layer itself is at the root."""
    rngs = rngs or {}
    inputs = [jnp.asarray(x) for x in inputs]
    module = module or Caller(body)
    variables = fill(module.init({"params": random.key(0), **rngs}, *inputs), name)
    params = variables.get("params", {})
    rest = {k: v for k, v in variables.items() if k != "params"}
    wanted = [i for i, x in enumerate(inputs) if differentiable(x)]

    def forward(params, floats):
        given = list(inputs)
        for i, x in zip(wanted, floats, strict=True):
            given[i] = x
        output, updates = module.apply({"params": params, **rest}, *given, rngs=rngs, mutable=list(rest))
        return jax.tree_util.tree_leaves(output), updates

    floats = [inputs[i] for i in wanted]
    outputs, updates = forward(params, floats)
    weights = [random_numbers(f"{name}:weights{i}", y.shape) for i, y in enumerate(outputs)]

    def loss(params, floats):
        return sum(jnp.sum(y * w) for y, w in zip(forward(params, floats)[0], weights, strict=True))

    params_grad, inputs_grad = jax.grad(loss, argnums=(0, 1))(params, floats)
    return {
        "name": name,
        "layer": layer,
        "config": {k: plain(v) for k, v in config.items()},
        **(extra or {}),
        **({"rngs": {k: key_words(v) for k, v in rngs.items()}} if rngs else {}),
        "inputs": [array(x) for x in inputs],
        "variables": nested(variables),
        "weights": [array(w) for w in weights],
        "outputs": [array(y) for y in outputs],
        "grads": {"params": nested(params_grad), "inputs": [array(g) for g in inputs_grad]},
        "updates": nested(dict(updates)),
    }


def simple(layer, label, shape, config, **options):
    """A layer of one input."""
    name = f"{layer}/{label}"
    x = random_numbers(name, shape)
    return call(name, layer, config, lambda x: getattr(nn, layer)(**config)(x), [x], **options)
