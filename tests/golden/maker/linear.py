"""linear.json: dense layers of any axes, embeddings and convolutions beyond those of layers.json. modules call them."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from .call import call, simple
from .encode import array, random_numbers


def dense_general():
    for label, shape, config in (
        ("as_dense", (3, 4), {"features": 5}),
        ("two_features", (2, 3), {"features": (2, 4)}),
        ("two_axes", (2, 3, 4), {"features": 3, "axis": (1, -1)}),
        ("two_axes_swapped", (2, 3, 4), {"features": (2, 2), "axis": (-1, 1)}),
        ("first_axis", (3, 2), {"features": 2, "axis": 0}),
        ("batch", (2, 3, 4), {"features": 3, "batch_dims": (0,)}),
        ("batch_two_axes", (2, 2, 3, 2), {"features": (2,), "axis": (3, 2), "batch_dims": (0, 1)}),
        ("no_bias", (2, 3), {"features": (2, 2), "use_bias": False}),
    ):
        yield simple("DenseGeneral", label, shape, config)


def einsum():
    for label, shape, config in (
        ("heads", (2, 3, 4), {"shape": (4, 2, 3), "einsum_str": "abc,cde->abde"}),
        ("ellipsis", (2, 2, 3), {"shape": (3, 4), "einsum_str": "...c, cd -> ...d"}),
        ("transposed", (2, 3), {"shape": (3, 4), "einsum_str": "ab,bc->ca"}),
        ("summed_kernel", (2, 3), {"shape": (3, 4, 2), "einsum_str": "ab,bcd->ac"}),
        ("no_bias", (2, 3, 2), {"shape": (3, 2), "einsum_str": "abc,bd->adc", "use_bias": False}),
    ):
        yield simple("Einsum", label, shape, config)


def embed():
    for label, ids, config in (
        ("plain", [[0, 2], [4, 2]], {"num_embeddings": 5, "features": 3}),
        ("negative", [-1, -5, 1], {"num_embeddings": 5, "features": 2}),
        ("out_of_range", [5, -6, 3], {"num_embeddings": 5, "features": 2}),
        ("one_row", [[0], [7]], {"num_embeddings": 1, "features": 3}),
        ("scalar", 1, {"num_embeddings": 3, "features": 2}),
    ):
        name = f"Embed/{label}"
        yield call(name, "Embed", config, lambda x, c=config: nn.Embed(**c)(x), [np.asarray(ids, np.int32)])
    config = {"num_embeddings": 4, "features": 3}

    def tied(ids):
        embed = nn.Embed(**config)
        return embed.attend(embed(ids) * 2.0)

    ids = np.array([[0, 3], [1, 1]], np.int32)
    yield call("Embed/attend", "Embed", config, tied, [ids], extra={"method": "attend"})


def conv_transpose():
    cases = (
        ("1d_same", (2, 4, 2), {"kernel_size": (3,)}),
        ("1d_same_stride2", (1, 4, 2), {"kernel_size": (3,), "strides": (2,)}),
        ("1d_same_stride3_kernel2", (1, 3, 2), {"kernel_size": (2,), "strides": (3,)}),
        ("1d_valid_stride2", (1, 4, 2), {"kernel_size": (3,), "strides": (2,), "padding": "VALID"}),
        ("1d_valid_stride3_kernel2", (1, 3, 1), {"kernel_size": (2,), "strides": (3,), "padding": "VALID"}),
        ("2d_same_stride2", (1, 3, 2, 2), {"kernel_size": (4, 3), "strides": (2, 2)}),
        ("2d_valid", (2, 3, 3, 1), {"kernel_size": (2, 3), "strides": (2, 1), "padding": "VALID"}),
        ("2d_explicit", (1, 3, 3, 1), {"kernel_size": (3, 3), "strides": (2, 2), "padding": ((1, 2), (0, 1))}),
        ("2d_int", (1, 3, 3, 1), {"kernel_size": (3, 3), "strides": (2, 1), "padding": 1}),
        ("2d_dilation", (1, 3, 4, 1), {"kernel_size": (2, 3), "kernel_dilation": (2, 2), "strides": (2, 1)}),
        ("2d_transpose_kernel", (1, 3, 3, 2), {"kernel_size": (3, 2), "strides": (2, 2), "transpose_kernel": True}),
        ("2d_circular", (1, 3, 4, 2), {"kernel_size": (3, 2), "padding": "CIRCULAR"}),
        ("2d_circular_stride2", (1, 3, 2, 1), {"kernel_size": (4, 3), "strides": (2, 2), "padding": "CIRCULAR"}),
        (
            "2d_circular_transpose_kernel",
            (1, 3, 2, 1),
            {"kernel_size": (4, 3), "strides": (2, 2), "padding": "CIRCULAR", "transpose_kernel": True},
        ),
        ("1d_circular_wide", (1, 2, 1), {"kernel_size": (7,), "padding": "CIRCULAR"}),
        ("3d_same", (1, 2, 3, 2, 1), {"kernel_size": (2, 2, 3), "strides": (1, 2, 1)}),
        ("2d_no_batch", (3, 2, 2), {"kernel_size": (2, 2), "strides": (2, 2)}),
        ("1d_two_batch_dims", (2, 2, 3, 1), {"kernel_size": (3,), "strides": (2,)}),
        ("2d_empty_batch", (0, 3, 3, 2), {"kernel_size": (3, 3)}),
        ("1d_no_bias", (1, 3, 2), {"kernel_size": (2,), "use_bias": False}),
    )
    for label, shape, config in cases:
        yield simple("ConvTranspose", label, shape, {"features": 2, **config})


def conv():
    for label, shape, config in (
        ("1d_circular_wide", (1, 3, 1), {"kernel_size": (6,), "padding": "CIRCULAR"}),
        ("1d_reflect_wide", (1, 3, 1), {"kernel_size": (7,), "padding": "REFLECT"}),
        (
            "1d_circular_stride2_dilation2",
            (2, 6, 1),
            {"kernel_size": (3,), "padding": "CIRCULAR", "strides": (2,), "kernel_dilation": (2,)},
        ),
        ("2d_reflect_dilation", (1, 5, 4, 1), {"kernel_size": (2, 2), "padding": "REFLECT", "kernel_dilation": (2, 3)}),
        ("1d_causal_stride2", (1, 6, 2), {"kernel_size": (3,), "padding": "CAUSAL", "strides": (2,)}),
        ("1d_causal_groups", (1, 5, 2), {"kernel_size": (2,), "padding": "CAUSAL", "feature_group_count": 2}),
    ):
        yield simple("Conv", label, shape, {"features": 2, **config})
    for layer, kernel in (("Conv", (2, 2, 3, 2)), ("ConvTranspose", (2, 2, 3, 2))):
        name = f"{layer}/mask"
        mask = (random_numbers(name + ":mask", kernel) > 0).astype(np.float32)
        config = {"features": 2, "kernel_size": (2, 2)}

        def body(x, layer=layer, config=config, mask=mask):
            return getattr(nn, layer)(**config, mask=jnp.asarray(mask))(x)

        yield call(name, layer, config, body, [random_numbers(name, (1, 3, 3, 3))], extra={"mask": array(mask)})


def prelu():
    for label, config in (("default", {}), ("quarter", {"negative_slope_init": 0.25})):
        yield simple("PReLU", label, (2, 5), config)


def linear_cases():
    for family in (dense_general, einsum, embed, conv_transpose, conv, prelu):
        yield from family()
