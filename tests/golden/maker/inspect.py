"""inspect.json: module tables, captured intermediates and perturbations."""

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.linen import summary

from . import models
from .encode import array, paths, random_numbers

MODELS = {
    "mlp": (models.MLP(), (5, 3)),
    "bn_lenet": (models.BNLeNet(), (2, 28, 28, 1)),
    "nested": (models.Nested(), (2, 3)),
    "shared": (models.Shared(), (2, 4)),
    "names": (models.Names(), (2, 3)),
    "sequential_inside": (models.SequentialInside(), (4, 3)),
    "resnet": (models.ResNet(), (2, 8, 8, 1)),
    "encoder": (models.Encoder(), (2, 3, 4)),
}


class Stepped(nn.Module):
    """A cell, which gives a structure, and a table that is read and attended to."""

    @nn.compact
    def __call__(self, tokens, train):
        embed = nn.Embed(5, 3)
        x = embed(tokens)
        cell = nn.LSTMCell(3)
        carry = (jnp.zeros_like(x), jnp.ones_like(x))
        for _ in range(2):
            carry, y = cell(carry, x)
        return embed.attend(y)


class Perturbed(nn.Module):
    """Hidden values that are perturbed and kept; the layer between runs twice."""

    @nn.compact
    def __call__(self, x, train):
        dense = nn.Dense(4)
        x = self.perturb("first", dense(x))
        self.sow("intermediates", "hidden", x)
        x = self.perturb("second", jnp.tanh(dense(x)))
        self.sow("intermediates", "hidden", x)
        return nn.Dense(2)(x)


def types(value):
    """The arrays among inputs or outputs: "float32[2,3]"."""
    leaves = jax.tree.leaves(value, is_leaf=lambda leaf: isinstance(leaf, summary._ArrayRepresentation))
    return [leaf.render().replace("[dim]", "").replace("[/dim]", "") for leaf in leaves if isinstance(leaf, summary._ArrayRepresentation)]


def table(label, **options):
    model, shape = MODELS[label]
    rows = summary._get_module_table(
        model,
        depth=options.get("depth"),
        show_repeated=options.get("show_repeated", False),
        compute_flops=False,
        compute_vjp_flops=False,
    )({"params": jax.random.key(0), "dropout": jax.random.key(1)}, np.zeros(shape, np.float32), True)
    name = "/".join(["tabulate", label, *(f"{key}_{value}" for key, value in options.items())])
    return {
        "name": name,
        "kind": "tabulate",
        "model": label,
        "shape": list(shape),
        **options,
        "rows": [
            {
                "path": "/".join(row.path),
                "module": type(row.module_copy).__name__,
                "inputs": types(row.inputs),
                "outputs": types(row.outputs),
                "sizes": {
                    collection: list(size)
                    for collection, size in row.size_and_bytes(rows.collections).items()
                    if size[0]
                },
            }
            for row in rows
        ],
        "text": {
            "total": summary._size_and_bytes_repr(
                *map(sum, zip(*(size for row in rows for size in row.size_and_bytes(rows.collections).values())))
            )
            .replace("[dim]", "")
            .replace("[/dim]", "")
        },
    }


def inputs(label, model, shape):
    x = random_numbers(f"inspect:{label}", shape)
    variables = model.init(jax.random.key(0), x, train=False)
    return x, variables


def capture(label, only=None):
    """In float64, where nothing depends on the order of sums."""
    model, shape = MODELS[label]
    x, variables = inputs(label, model, shape)
    chosen = True if only is None else (lambda module, method: method == "__call__" and type(module).__name__ == only)
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda value: np.asarray(value, np.float64), variables)
        _, updates = model.apply(wide, np.asarray(x, np.float64), train=False, capture_intermediates=chosen)
    return {
        "name": f"capture/{label}{'' if only is None else '/' + only}",
        "kind": "capture",
        "model": label,
        **({} if only is None else {"only": only}),
        "x": array(x),
        "variables": paths(variables),
        "intermediates": paths(flax.serialization.to_state_dict(updates["intermediates"])),
    }


def methods():
    """Other methods than __call__ are captured under their names."""
    model = Stepped()
    tokens = np.array([[0, 4], [2, 2]], np.int32)
    variables = model.init(jax.random.key(0), tokens, train=False)
    wanted = ("__call__", "attend")
    _, updates = model.apply(
        variables, tokens, train=False, capture_intermediates=lambda module, method: method in wanted
    )
    return {
        "name": "capture/methods",
        "kind": "capture methods",
        "x": array(tokens),
        "variables": paths(variables),
        "intermediates": paths(flax.serialization.to_state_dict(updates["intermediates"])),
    }


def perturb():
    model = Perturbed()
    x, variables = inputs("perturbed", model, (3, 4))
    weights = random_numbers("inspect:weights", (3, 2))

    def loss(params, perturbations, x):
        y, updates = model.apply(
            {"params": params, "perturbations": perturbations}, x, train=True, mutable=["intermediates"]
        )
        return jnp.sum(weights * y**2), updates["intermediates"]

    shifted = jax.tree.map(lambda p: p + 0.25, variables["perturbations"])
    (value, intermediates), grads = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)(
        variables["params"], shifted, x
    )
    return {
        "name": "perturb",
        "kind": "perturb",
        "x": array(x),
        "weights": array(weights),
        "variables": paths(variables),
        "shifted": paths(shifted),
        "loss": array(value),
        "intermediates": paths(flax.serialization.to_state_dict(intermediates)),
        "params_grad": paths(grads[0]),
        "perturbations_grad": paths(grads[1]),
    }


def inspect_cases():
    for label in MODELS:
        yield table(label)
    for label in ("nested", "encoder", "resnet"):
        yield table(label, depth=0)
        yield table(label, depth=1)
    yield table("shared", show_repeated=True)
    for label in ("mlp", "nested", "shared", "sequential_inside", "encoder"):
        yield capture(label)
    yield capture("resnet", only="BatchNorm")
    yield methods()
    yield perturb()
