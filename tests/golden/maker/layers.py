"""layers.json: every layer forward and backward, with the collections it updates."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.linen import pooling
from jax import random

from .encode import array, key_words, paths, random_numbers


def plain(value):
    """Hyper-parameters as JSON: tuples become lists."""
    if isinstance(value, (tuple, list)):
        return [plain(v) for v in value]
    return value


def fill(variables, label):
    """Arbitrary values in place of the initial ones; variances and scales stay away from zero."""

    def value(path, leaf):
        name = "/".join(k.key for k in path)
        out = random_numbers(f"{label}:{name}", leaf.shape, span=1.0)
        return jnp.asarray(
            np.abs(out) + 0.25 if path[-1].key == "var" else out + 1.5 if path[-1].key == "scale" else out
        )

    return jax.tree_util.tree_map_with_path(value, variables)


def layer(name, module, x, config, *, kind=None, call=None, rngs=None, extra=None):
    """One case: gradients are those of sum(output * weights) with respect to x and to every parameter."""
    call, rngs, extra = call or {}, rngs or {}, extra or {}
    x = jnp.asarray(x)
    variables = fill(module.init({"params": random.key(0), **rngs}, x, **call), name)
    params = variables.get("params", {})
    rest = {k: v for k, v in variables.items() if k != "params"}

    def forward(params, x):
        return module.apply({"params": params, **rest}, x, rngs=rngs, mutable=list(rest), **call)

    output, updates = forward(params, x)
    weights = random_numbers(f"{name}:weights", output.shape)

    def loss(params, x):
        return jnp.sum(forward(params, x)[0] * weights)

    params_grad, x_grad = jax.grad(loss, argnums=(0, 1))(params, x)
    grads = {**paths({"params": params_grad} if params else {}), "x": array(x_grad)}
    return {
        "name": name,
        "layer": kind or type(module).__name__,
        "config": {k: plain(v) for k, v in config.items()},
        **extra,
        **({"rngs": {k: key_words(v) for k, v in rngs.items()}} if rngs else {}),
        "x": array(x),
        "variables": paths(variables),
        "weights": array(weights),
        "output": array(output),
        "grads": grads,
        "updates": paths(dict(updates)),
    }


def dense():
    for label, shape, config in (
        ("bias", (3, 4), {"features": 5}),
        ("no_bias", (3, 4), {"features": 2, "use_bias": False}),
        ("rank1", (4,), {"features": 3}),
        ("rank3", (2, 3, 4), {"features": 2}),
        ("one_by_one", (1, 1), {"features": 1}),
        ("empty_batch", (0, 4), {"features": 3}),
    ):
        name = f"Dense/{label}"
        yield layer(name, nn.Dense(**config), random_numbers(name, shape), config)


def conv():
    cases = (
        ("1d_same", (2, 7, 3), {"kernel_size": (3,)}),
        ("1d_valid_stride2", (2, 8, 2), {"kernel_size": (3,), "strides": (2,), "padding": "VALID"}),
        ("1d_causal_dilation2", (1, 6, 2), {"kernel_size": (2,), "padding": "CAUSAL", "kernel_dilation": (2,)}),
        ("2d_same", (2, 5, 4, 2), {"kernel_size": (3, 3)}),
        ("2d_same_5x5_on_1_channel", (2, 6, 6, 1), {"kernel_size": (5, 5), "features": 6}),
        ("2d_same_even_kernel", (1, 5, 6, 2), {"kernel_size": (2, 4)}),
        ("2d_same_stride2_odd", (1, 7, 5, 2), {"kernel_size": (3, 3), "strides": (2, 2)}),
        ("2d_same_stride2_even", (1, 6, 8, 2), {"kernel_size": (3, 3), "strides": (2, 2)}),
        ("2d_same_stride3_kernel1", (1, 7, 7, 2), {"kernel_size": (1, 1), "strides": (3, 3)}),
        ("2d_valid", (2, 5, 5, 3), {"kernel_size": (3, 2), "padding": "VALID"}),
        ("2d_valid_stride_1x2", (1, 5, 6, 2), {"kernel_size": (3, 2), "strides": (1, 2), "padding": "VALID"}),
        ("2d_explicit", (1, 4, 5, 2), {"kernel_size": (3, 3), "padding": ((2, 1), (0, 2))}),
        ("2d_explicit_per_dim", (1, 4, 5, 2), {"kernel_size": (3, 3), "padding": (1, 2)}),
        ("2d_explicit_int", (1, 4, 5, 2), {"kernel_size": (3, 3), "padding": 1, "strides": (2, 2)}),
        ("2d_kernel_dilation", (1, 7, 8, 2), {"kernel_size": (3, 2), "kernel_dilation": (2, 3)}),
        (
            "2d_kernel_dilation_valid",
            (1, 7, 7, 1),
            {"kernel_size": (3, 3), "kernel_dilation": (2, 2), "padding": "VALID"},
        ),
        (
            "2d_input_dilation",
            (1, 4, 3, 2),
            {"kernel_size": (3, 3), "input_dilation": (2, 3), "padding": ((1, 1), (0, 2))},
        ),
        ("2d_groups2", (1, 4, 4, 4), {"kernel_size": (3, 3), "feature_group_count": 2, "features": 6}),
        ("2d_depthwise", (1, 4, 5, 3), {"kernel_size": (3, 3), "feature_group_count": 3, "features": 3}),
        (
            "2d_groups2_stride2_no_bias",
            (2, 5, 5, 2),
            {"kernel_size": (3, 3), "feature_group_count": 2, "features": 4, "strides": (2, 2), "use_bias": False},
        ),
        ("2d_circular", (1, 5, 4, 2), {"kernel_size": (3, 2), "padding": "CIRCULAR"}),
        ("2d_reflect", (1, 5, 4, 2), {"kernel_size": (3, 2), "padding": "REFLECT"}),
        ("2d_no_bias", (1, 4, 4, 2), {"kernel_size": (3, 3), "use_bias": False}),
        ("2d_no_batch", (4, 5, 2), {"kernel_size": (3, 3)}),
        ("2d_two_batch_dims", (2, 2, 3, 4, 1), {"kernel_size": (2, 2)}),
        ("2d_empty_batch", (0, 4, 4, 2), {"kernel_size": (3, 3)}),
        ("3d_same", (1, 3, 4, 3, 2), {"kernel_size": (2, 3, 2)}),
        ("3d_valid_stride", (1, 4, 5, 4, 1), {"kernel_size": (2, 2, 3), "strides": (2, 1, 1), "padding": "VALID"}),
    )
    for label, shape, config in cases:
        name = f"Conv/{label}"
        config = {"features": 3, **config}
        yield layer(name, nn.Conv(**config), random_numbers(name, shape), config)


def batch_norm():
    cases = (
        ("2d", (5, 3), {}),
        ("2d_momentum", (5, 3), {"momentum": 0.9}),
        ("2d_epsilon", (5, 3), {"epsilon": 0.01}),
        ("4d", (2, 3, 2, 3), {"momentum": 0.9}),
        ("3d", (2, 4, 3), {}),
        ("axis1", (3, 4, 2), {"axis": 1}),
        ("axis_1_3", (2, 3, 2, 2), {"axis": (1, 3)}),
        ("axis_3_1", (2, 3, 2, 2), {"axis": (3, 1)}),
        ("axis_negative2", (3, 4, 2), {"axis": -2}),
        ("no_scale", (5, 3), {"use_scale": False}),
        ("no_bias", (5, 3), {"use_bias": False}),
        ("no_scale_no_bias", (5, 3), {"use_scale": False, "use_bias": False}),
        ("slow_variance", (5, 3), {"use_fast_variance": False}),
        ("slow_variance_4d", (2, 3, 2, 3), {"use_fast_variance": False}),
        ("one_row", (1, 3), {}),
    )
    for label, shape, config in cases:
        for mode, running in (("train", False), ("eval", True)):
            name = f"BatchNorm/{label}/{mode}"
            config = {**config, "use_running_average": running}
            yield layer(name, nn.BatchNorm(**config), random_numbers(f"BatchNorm/{label}", shape), config)
    rows = np.array([1, 0, 1, 1, 0], bool)[:, None]
    elements = random_numbers("BatchNorm/mask", (2, 3, 2, 3)) > -0.5
    for label, shape, mask, config in (
        ("mask_rows", (5, 3), rows, {}),
        ("mask_elements_4d", (2, 3, 2, 3), elements, {}),
        ("mask_slow_variance", (5, 3), rows, {"use_fast_variance": False}),
    ):
        name = f"BatchNorm/{label}/train"
        config = {**config, "use_running_average": False}
        yield layer(
            name,
            nn.BatchNorm(**config),
            random_numbers(name, shape),
            config,
            call={"mask": mask},
            extra={"mask": array(mask)},
        )
    # The offset is exact in float32 and so is the mean of eight rows; fast variance would lose its digits here.
    offset = (1000.0 + np.arange(16).reshape(8, 2) / 64).astype(np.float32)
    config = {"use_fast_variance": False, "use_running_average": False}
    yield layer("BatchNorm/offset_1000_slow_variance/train", nn.BatchNorm(**config), offset, config)


def dropout():
    for label, shape, config in (
        ("half", (4, 6), {"rate": 0.5}),
        ("third", (3, 2, 5), {"rate": 0.3}),
        ("zero", (2, 3), {"rate": 0.0}),
        ("one", (2, 3), {"rate": 1.0}),
        ("broadcast_rows", (5, 4), {"rate": 0.5, "broadcast_dims": (0,)}),
        ("broadcast_image", (2, 3, 2, 4), {"rate": 0.4, "broadcast_dims": (1, 2)}),
        ("deterministic", (2, 3), {"rate": 0.5, "deterministic": True}),
        ("empty", (0, 3), {"rate": 0.5}),
    ):
        for seed in (1, 5):
            name = f"Dropout/{label}/{seed}"
            config = {"deterministic": False, **config}
            yield layer(
                name, nn.Dropout(**config), random_numbers(name, shape), config, rngs={"dropout": random.key(seed)}
            )


def pool_case(name, kind, x, config):
    fn = getattr(pooling, kind)
    options = dict(config)
    window = options.pop("window_shape")
    output, vjp = jax.vjp(lambda x: fn(x, window, **options), jnp.asarray(x))
    weights = random_numbers(f"{name}:weights", output.shape)
    return {
        "name": name,
        "layer": kind,
        "config": {k: plain(v) for k, v in config.items()},
        "x": array(x),
        "variables": {},
        "weights": array(weights),
        "output": array(output),
        "grads": {"x": array(vjp(jnp.asarray(weights))[0])},
        "updates": {},
    }


def pooling_cases():
    cases = (
        ("valid_2x2_by_2", (2, 4, 4, 2), {"window_shape": (2, 2), "strides": (2, 2)}),
        ("valid_2x2_by_2_odd", (1, 5, 7, 2), {"window_shape": (2, 2), "strides": (2, 2)}),
        ("valid_strides_default", (1, 4, 5, 2), {"window_shape": (2, 3)}),
        ("same_3x3", (1, 4, 5, 2), {"window_shape": (3, 3), "padding": "SAME"}),
        ("same_2x2_by_2_odd", (1, 5, 7, 1), {"window_shape": (2, 2), "strides": (2, 2), "padding": "SAME"}),
        ("same_3x2_by_2x1", (2, 6, 3, 1), {"window_shape": (3, 2), "strides": (2, 1), "padding": "SAME"}),
        ("explicit", (1, 4, 4, 2), {"window_shape": (3, 3), "strides": (2, 2), "padding": ((1, 0), (2, 1))}),
        ("1d", (2, 6, 2), {"window_shape": (3,), "strides": (2,)}),
        ("3d", (1, 3, 4, 3, 1), {"window_shape": (2, 2, 2), "strides": (1, 2, 1)}),
        ("no_batch", (4, 4, 2), {"window_shape": (2, 2), "strides": (2, 2)}),
        ("gaps", (1, 7, 1), {"window_shape": (2,), "strides": (3,)}),
        ("empty_batch", (0, 4, 4, 2), {"window_shape": (2, 2), "strides": (2, 2)}),
    )
    for kind in ("avg_pool", "max_pool", "min_pool"):
        for label, shape, config in cases:
            name = f"{kind}/{label}"
            config = {"strides": None, "padding": "VALID", **config}
            yield pool_case(name, kind, random_numbers(name, shape), config)
            if kind == "avg_pool" and config["padding"] != "VALID":
                yield pool_case(
                    f"{name}/exclude_pad", kind, random_numbers(name, shape), {**config, "count_include_pad": False}
                )
        # Equal values: the gradient goes to the first one in row-major window order.
        ties = np.array([0, 1, 1, 0, 1, 1, 0, 0, -1, -1, 1, 1, 0, 0, 0, 0, 2, 2, 1, 0, 2, 2, 0, 1, 1], np.float32)
        yield pool_case(
            f"{kind}/ties",
            kind,
            ties.reshape(1, 5, 5, 1),
            {"window_shape": (3, 3), "strides": None, "padding": "VALID"},
        )
        yield pool_case(
            f"{kind}/ties_same",
            kind,
            ties.reshape(1, 5, 5, 1) - 3,
            {"window_shape": (2, 2), "strides": (2, 2), "padding": "SAME"},
        )


def sequential():
    """config["layers"] lists the layers: {"layer": class or function, hyper-parameters}."""

    def build(layers):
        made = []
        for entry in layers:
            options = {k: v for k, v in entry.items() if k != "layer"}
            target = getattr(nn, entry["layer"])
            made.append(target(**options) if isinstance(target, type) else target)
        return nn.Sequential(made)

    dense_relu = [{"layer": "Dense", "features": 4}, {"layer": "relu"}, {"layer": "Dense", "features": 2}]
    conv_norm = [
        {"layer": "Conv", "features": 3, "kernel_size": [3, 3]},
        {"layer": "BatchNorm", "use_running_average": False, "momentum": 0.9},
        {"layer": "tanh"},
        {"layer": "Conv", "features": 1, "kernel_size": [2, 2], "padding": "VALID"},
    ]
    nested = [
        {"layer": "Dense", "features": 4},
        {"layer": "BatchNorm", "use_running_average": True},
        {"layer": "sigmoid"},
    ]
    for label, layers, shape in (
        ("dense_relu_dense", dense_relu, (3, 3)),
        ("conv_norm_tanh_conv", conv_norm, (2, 4, 4, 1)),
        ("dense_norm_eval", nested, (3, 2)),
    ):
        name = f"Sequential/{label}"
        yield layer(name, build(layers), random_numbers(name, shape), {"layers": layers})


def layers_cases():
    for family in (dense, conv, batch_norm, dropout, pooling_cases, sequential):
        yield from family()
