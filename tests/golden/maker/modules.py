"""modules.json: local convolutions, layers around modules with submodules, attention weights that are sown, layers
under their other names."""

import flax.linen as nn
import jax.numpy as jnp
from jax import random

from .call import Caller, call, nested, simple
from .encode import array, random_numbers


class Inner(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(2)(nn.relu(x))


class Block(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        x = nn.Dense(3)(x)
        x = nn.BatchNorm(use_running_average=not train)(x)
        return Inner()(x) + Inner()(x)


def wrapped(label, wrap, x, module=None):
    """Layers around a Block, with the variables that init gives beside those of the case."""
    name = f"wrapped/{label}"
    module = module or Caller(wrap)
    made = module.init(random.key(0), x)
    return call(name, "wrapped", {}, wrap, [x], module=module, extra={"init": nested(made), "label": label})


def wrappers():
    """Within a WeightNorm Flax can update no statistics."""
    x = jnp.asarray(random_numbers("wrapped", (8, 5)))
    normal = nn.initializers.normal(1.0)
    for label, wrap in (
        ("weight", lambda x: nn.WeightNorm(Block())(x, False)),
        ("weight_all", lambda x: nn.WeightNorm(Block(), variable_filter=None, scale_init=normal)(x, False)),
        ("weight_some", lambda x: nn.WeightNorm(Block(), variable_filter={"Inner_1", "bias"}, epsilon=0.1)(x, False)),
        ("weight_module", lambda x: nn.WeightNorm(Block(name="block"), variable_filter={"block/D"})(x, False)),
        ("weight_rows", lambda x: nn.WeightNorm(Block(), feature_axes=0, scale_init=normal)(x, False)),
        ("weight_whole", lambda x: nn.WeightNorm(Block(), feature_axes=None, scale_init=normal)(x, False)),
        ("spectral", lambda x: nn.SpectralNorm(Block())(x, True, update_stats=True)),
        ("spectral_keep", lambda x: nn.SpectralNorm(Block(), n_steps=2)(x, False, update_stats=False)),
        ("spectral_collection", lambda x: nn.SpectralNorm(Block(), collection_name="sn")(x, True, update_stats=True)),
        ("two", lambda x: nn.WeightNorm(Inner())(nn.SpectralNorm(nn.Dense(3))(x, update_stats=True))),
    ):
        yield wrapped(label, wrap, x)
    layers = [nn.WeightNorm(nn.Dense(3), scale_init=normal), nn.relu, nn.WeightNorm(Inner(), variable_filter=None)]
    yield wrapped("sequential", None, x, module=nn.Sequential(layers))


def doubled(query, key, value, bias=None, mask=None, **_):
    """In place of attention: no weights at all."""
    return 2 * query + jnp.mean(value, axis=-3, keepdims=True)


def attention():
    x = jnp.asarray(random_numbers("sown", (2, 3, 4)))
    mask = nn.make_causal_mask(x[..., 0])
    drop = {"dropout_rate": 0.5, "deterministic": False}

    def two(x):
        layer = nn.MultiHeadDotProductAttention(2, name="shared")
        return layer(layer(x, mask=mask, sow_weights=True), sow_weights=True)

    for label, wrap in (
        ("multi_head", lambda x: nn.MultiHeadAttention(2)(x, mask=mask, sow_weights=True)),
        ("self", lambda x: nn.SelfAttention(2, qkv_features=6)(x, sow_weights=True)),
        ("before_dropout", lambda x: nn.MultiHeadAttention(2, **drop)(x, dropout_rng=random.key(3), sow_weights=True)),
        ("twice", two),
        ("other_function", lambda x: nn.MultiHeadAttention(2, attention_fn=doubled)(x)),
        ("quiet", lambda x: nn.SelfAttention(2)(x, mask=mask)),
    ):
        name = f"attention/{label}"
        module = Caller(wrap)
        variables = module.init(random.key(0), x)
        output, sown = module.apply(variables, x, mutable=["intermediates"])
        kept = {
            layer: {key: array(jnp.stack(values)) for key, values in entries.items()}
            for layer, entries in sown.get("intermediates", {}).items()
        }
        yield {
            "name": name,
            "layer": "attention",
            "label": label,
            "inputs": [array(x)],
            "variables": nested(variables),
            "outputs": [array(output)],
            "sown": kept,
        }


def local():
    for label, shape, config in (
        ("1d", (2, 4, 3), {"kernel_size": (3,)}),
        ("1d_valid_stride2", (1, 6, 2), {"kernel_size": (3,), "strides": (2,), "padding": "VALID"}),
        ("1d_causal", (1, 4, 2), {"kernel_size": (2,), "padding": "CAUSAL"}),
        ("1d_circular", (1, 4, 1), {"kernel_size": (3,), "padding": "CIRCULAR"}),
        ("2d", (2, 3, 2, 2), {"kernel_size": (2, 3)}),
        ("2d_strides", (1, 4, 5, 2), {"kernel_size": (2, 2), "strides": (2, 3), "padding": ((1, 0), (0, 2))}),
        ("2d_dilation", (1, 4, 4, 1), {"kernel_size": (2, 2), "kernel_dilation": (2, 1), "padding": "VALID"}),
        ("2d_input_dilation", (1, 2, 3, 1), {"kernel_size": (2, 2), "input_dilation": (2, 2), "padding": 1}),
        ("2d_no_batch", (3, 2, 2), {"kernel_size": (2, 2), "use_bias": False}),
        ("1d_two_batch_dims", (2, 2, 3, 1), {"kernel_size": (2,)}),
    ):
        yield simple("ConvLocal", label, shape, {"features": 2, **config})
    name, config = "ConvLocal/mask", {"features": 2, "kernel_size": (2,)}
    mask = (random_numbers(name + ":mask", (3, 4, 2)) > 0).astype("float32")
    layer = lambda x: nn.ConvLocal(**config, mask=jnp.asarray(mask))(x)  # noqa: E731
    yield call(name, "ConvLocal", config, layer, [random_numbers(name, (1, 3, 2))], extra={"mask": array(mask)})


def modules_cases():
    yield from local()
    yield from wrappers()
    yield from attention()
