"""attention.json: attention over heads, its masks, dropout and cache."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jax import random

from .call import call
from .encode import array, random_numbers

CAUSAL = np.tril(np.ones((3, 3), bool))
# The second query of the first batch sees nothing.
HOLES = np.array([[[[1, 0, 1], [0, 0, 0], [1, 1, 1]]], [[[1, 1, 0], [0, 1, 1], [0, 0, 1]]]], bool)


def attention(label, inputs, config, *, mask=None, rngs=None):
    """Inputs: queries, then keys and values where they differ, then the mask where there is one."""
    name = f"MultiHeadDotProductAttention/{label}"
    arrays = [random_numbers(f"{name}:{i}", shape) for i, shape in enumerate(inputs)]
    if mask is not None:
        arrays.append(mask)

    def body(*given):
        given, hidden = (given[:-1], given[-1]) if mask is not None else (given, None)
        return nn.MultiHeadDotProductAttention(**config)(*given, mask=hidden)

    extra = {"masked": mask is not None}
    return call(name, "MultiHeadDotProductAttention", config, body, arrays, rngs=rngs, extra=extra)


def multi_head():
    yield attention("self", [(2, 3, 4)], {"num_heads": 2})
    yield attention("self_no_batch", [(3, 4)], {"num_heads": 2})
    yield attention("two_batch_dims", [(2, 2, 3, 2)], {"num_heads": 1})
    yield attention("cross", [(2, 3, 4), (2, 2, 3)], {"num_heads": 2})
    yield attention("cross_values", [(1, 3, 4), (1, 2, 3), (1, 2, 5)], {"num_heads": 2, "out_features": 3})
    yield attention("features", [(2, 3, 4)], {"num_heads": 3, "qkv_features": 6, "out_features": 2})
    yield attention("no_bias", [(2, 3, 4)], {"num_heads": 2, "use_bias": False})
    yield attention("normalize_qk", [(2, 3, 4)], {"num_heads": 2, "qkv_features": 10, "normalize_qk": True})
    yield attention("causal", [(2, 3, 4)], {"num_heads": 2}, mask=CAUSAL)
    yield attention("fully_masked_row", [(2, 3, 4)], {"num_heads": 2}, mask=HOLES)
    dropout = {"dropout": random.key(5)}
    for label, config in (
        ("dropout", {"dropout_rate": 0.5, "deterministic": False}),
        ("dropout_each", {"dropout_rate": 0.3, "deterministic": False, "broadcast_dropout": False}),
        ("dropout_deterministic", {"dropout_rate": 0.5, "deterministic": True}),
    ):
        yield attention(label, [(2, 3, 4)], {"num_heads": 2, **config}, rngs=dropout)


def functions():
    q, k, v = (random_numbers(f"dot_product_attention:{i}", (2, 3, 2, 4)) for i in range(3))
    bias = random_numbers("dot_product_attention:bias", (2, 3, 3))
    name = "dot_product_attention"
    yield call(f"{name}/plain", name, {}, lambda q, k, v: nn.dot_product_attention(q, k, v), [q, k, v])
    yield call(f"{name}/bias", name, {}, lambda q, k, v, b: nn.dot_product_attention(q, k, v, bias=b), [q, k, v, bias])


def masks():
    """Functions without parameters: inputs and outputs alone."""
    tokens = np.array([[1, 1, 0], [1, 0, 0]], np.float32)
    keys = np.array([[1, 1], [0, 1]], np.float32)
    a = np.array([[[[1, 0], [1, 1]]]], np.float32)
    b = np.array([[[[1, 1], [0, 1]]]], np.int32)
    for label, fn, inputs, output in (
        ("padding", "make_attention_mask", [tokens, keys], nn.make_attention_mask(tokens, keys)),
        ("equal", "make_attention_mask", [tokens, keys], nn.make_attention_mask(tokens, keys, jnp.equal, 1, jnp.int32)),
        ("two_axes", "make_causal_mask", [tokens], nn.make_causal_mask(tokens)),
        ("extra", "make_causal_mask", [tokens[0]], nn.make_causal_mask(tokens[0], 2, bool)),
        ("two", "combine_masks", [a, b], nn.combine_masks(a, None, b)),
    ):
        yield {
            "name": f"{fn}/{label}",
            "layer": fn,
            "inputs": [array(x) for x in inputs],
            "outputs": [array(output)],
        }


def decode():
    """Position by position; the fourth step finds the cache of three full."""
    config = {"num_heads": 2, "qkv_features": 4, "decode": True}
    layer = nn.MultiHeadDotProductAttention(**config)
    name = "MultiHeadDotProductAttention/decode"
    variables = layer.init(random.key(0), jnp.zeros((2, 3, 4)))
    whole = random_numbers(name, (2, 4, 4))
    cache, steps = variables["cache"], []
    for i in range(4):
        x = jnp.asarray(whole[:, i : i + 1])
        y, updates = layer.apply({"params": variables["params"], "cache": cache}, x, mutable=["cache"])
        cache = updates["cache"]
        steps.append(y)
    yield {
        "name": name,
        "layer": "decode",
        "config": config,
        "inputs": [array(whole)],
        "variables": {"params": nested_params(variables["params"])},
        "outputs": [array(y) for y in steps],
        "updates": {k: array(v) for k, v in sorted(cache.items())},
    }


def nested_params(tree):
    return {k: nested_params(v) if isinstance(v, dict) else array(v) for k, v in sorted(tree.items())}


def attention_cases():
    for family in (multi_head, functions, masks, decode):
        yield from family()
