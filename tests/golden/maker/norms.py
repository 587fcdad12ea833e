"""norms.json: normalization of activations and of weights, beside the BatchNorm of layers.json."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from .call import call, simple
from .encode import array, random_numbers


def plain_norms():
    for layer, label, shape, config in (
        ("LayerNorm", "default", (2, 3, 4), {}),
        ("LayerNorm", "epsilon", (3, 4), {"epsilon": 0.1}),
        ("LayerNorm", "reduction_1_2", (2, 3, 2), {"reduction_axes": (1, 2)}),
        ("LayerNorm", "features_1_2", (2, 3, 2), {"reduction_axes": (1, 2), "feature_axes": (1, 2)}),
        ("LayerNorm", "features_apart", (2, 3, 2), {"reduction_axes": 1, "feature_axes": -1}),
        ("LayerNorm", "reduction_unsorted", (2, 3, 2), {"reduction_axes": (-1, 1)}),
        ("LayerNorm", "no_scale", (2, 3), {"use_scale": False}),
        ("LayerNorm", "no_bias", (2, 3), {"use_bias": False}),
        ("LayerNorm", "no_params", (2, 3), {"use_scale": False, "use_bias": False}),
        ("LayerNorm", "slow_variance", (2, 5), {"use_fast_variance": False}),
        ("LayerNorm", "one_feature", (3, 1), {}),
        ("LayerNorm", "rank1", (4,), {}),
        ("LayerNorm", "empty_batch", (0, 3), {}),
        ("RMSNorm", "default", (2, 3, 4), {}),
        ("RMSNorm", "epsilon", (2, 3), {"epsilon": 0.5}),
        ("RMSNorm", "reduction_1_2", (2, 3, 2), {"reduction_axes": (1, 2), "feature_axes": (1, 2)}),
        ("RMSNorm", "no_scale", (2, 3), {"use_scale": False}),
        ("GroupNorm", "two_groups", (2, 3, 4), {"num_groups": 2}),
        ("GroupNorm", "one_group", (2, 2, 3), {"num_groups": 1}),
        ("GroupNorm", "group_size", (2, 2, 2, 6), {"num_groups": None, "group_size": 3}),
        ("GroupNorm", "reduction_axes", (2, 3, 2, 4), {"num_groups": 2, "reduction_axes": (2, 3)}),
        ("GroupNorm", "reduction_negative", (2, 3, 2, 4), {"num_groups": 2, "reduction_axes": (-1, -2)}),
        ("GroupNorm", "no_params", (2, 3, 4), {"num_groups": 4, "use_scale": False, "use_bias": False}),
        ("GroupNorm", "slow_variance", (1, 3, 4), {"num_groups": 2, "use_fast_variance": False, "epsilon": 0.01}),
        ("GroupNorm", "rank2", (2, 4), {"num_groups": 2}),
        ("GroupNorm", "rank1", (4,), {"num_groups": 2}),
        ("InstanceNorm", "default", (2, 3, 2, 2), {}),
        ("InstanceNorm", "feature_axes", (2, 2, 5, 2), {"feature_axes": (1, 3)}),
        ("InstanceNorm", "rank2", (2, 3), {}),
        ("InstanceNorm", "no_bias_slow", (2, 4, 2), {"use_bias": False, "use_fast_variance": False}),
    ):
        yield simple(layer, label, shape, config)


def masked():
    for layer, label, shape, mask_shape, config in (
        ("LayerNorm", "mask", (3, 5), (3, 5), {}),
        ("LayerNorm", "mask_broadcast", (3, 5), (5,), {}),
        ("RMSNorm", "mask", (2, 4), (2, 4), {}),
        ("GroupNorm", "mask", (2, 3, 4), (2, 3, 4), {"num_groups": 2}),
        ("GroupNorm", "mask_broadcast", (2, 3, 4), (3, 4), {"num_groups": 2}),
        ("InstanceNorm", "mask", (2, 4, 2), (2, 4, 1), {}),
        ("BatchNorm", "mask", (5, 2), (5, 1), {"use_running_average": False}),
    ):
        name = f"{layer}/{label}"
        mask = random_numbers(f"{name}:mask", mask_shape) > -1
        mask[..., 0] = True  # something counts everywhere

        def body(x, m, layer=layer, config=config):
            return getattr(nn, layer)(**config)(x, mask=m)

        yield call(name, layer, config, body, [random_numbers(name, shape), mask])


def batch_norm():
    """A single sample, and everything masked: what Flax makes of them."""
    config = {"use_running_average": False}
    yield simple("BatchNorm", "single_sample", (1, 2), config)
    name = "BatchNorm/all_masked"
    x, mask = random_numbers(name, (3, 2)), np.array([[1, 0], [1, 0], [0, 0]], bool)
    yield call(name, "BatchNorm", config, lambda x, m: nn.BatchNorm(**config)(x, mask=m), [x, mask])


def weight_norm():
    dense = {"layer": "Dense", "features": 3}
    conv = {"layer": "Conv", "features": 2, "kernel_size": [2, 2]}
    for label, inner, shape, config in (
        ("dense", dense, (2, 4), {}),
        ("no_scale", dense, (2, 4), {"use_scale": False}),
        ("all_variables", dense, (2, 4), {"variable_filter": None}),
        ("all_axes", dense, (2, 4), {"feature_axes": None}),
        ("feature_axes_0", dense, (2, 4), {"feature_axes": (0,)}),
        ("conv", conv, (1, 3, 3, 2), {"epsilon": 0.01}),
    ):
        name = f"WeightNorm/{label}"
        yield call(name, "WeightNorm", config, lambda x, i=inner, c=config: nn.WeightNorm(make(i), **c)(x),
                   [random_numbers(name, shape)], extra={"inner": inner})
    name = "WeightNorm/root"
    yield call(name, "WeightNorm", {}, None, [random_numbers(name, (2, 4))], extra={"inner": dense, "root": True},
               module=nn.WeightNorm(make(dense)))


def spectral_norm():
    dense = {"layer": "Dense", "features": 3}
    conv = {"layer": "Conv", "features": 2, "kernel_size": [2, 2]}
    for label, inner, shape, config in (
        ("dense", dense, (2, 4), {}),
        ("three_steps", dense, (2, 4), {"n_steps": 3}),
        ("no_steps", dense, (2, 4), {"n_steps": 0}),
        ("conv", conv, (1, 3, 3, 2), {"epsilon": 0.01}),
    ):
        for update in (True, False):
            name = f"SpectralNorm/{label}/{'update' if update else 'keep'}"

            def body(x, i=inner, c=config, u=update):
                return nn.SpectralNorm(make(i), **c)(x, update_stats=u)

            yield call(name, "SpectralNorm", config, body, [random_numbers(name, shape)],
                       extra={"inner": inner, "update_stats": update})


def make(inner):
    return getattr(nn, inner["layer"])(**{k: v for k, v in inner.items() if k != "layer"})


def norms_cases():
    for family in (plain_norms, masked, batch_norm, weight_norm, spectral_norm):
        yield from family()
