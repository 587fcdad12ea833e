"""long_curves.json: two hundred training steps in eager float32, and how far the same run under jit strays from it."""

import gzip
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax

from . import models
from .curves import data
from .encode import array, paths
from .optimizers import compact, short

STEPS = 200
EMBEDDED = pathlib.Path(__file__).parents[3] / "src" / "data" / "embedded"
RUNS = {
    "guide_mlp_adam": (models.MLP(), 8, "adam", {"learning_rate": 0.01}),
    "lenet_fashion_sgd": (models.BNLeNet(), 16, "sgd", {"learning_rate": 0.1}),
    "resnet_fashion_momentum": (models.FashionResNet(), 16, "sgd", {"learning_rate": 0.002, "momentum": 0.9}),
    "dropout_fashion_sgd": (models.DropoutMLP(), 16, "sgd", {"learning_rate": 0.05}),
}


def fashion():
    """The extract of Fashion-MNIST that linseed has in it: images / 255 and labels."""
    images = gzip.decompress((EMBEDDED / "train-images-idx3-ubyte.gz").read_bytes())[16:]
    labels = gzip.decompress((EMBEDDED / "train-labels-idx1-ubyte.gz").read_bytes())[8:]
    x = np.frombuffer(images, np.uint8).reshape(-1, 28, 28, 1).astype(np.float32) / np.float32(255)
    return x, np.frombuffer(labels, np.uint8).astype(np.int32)


def batch_of(name, size, step):
    """The guide's model always sees the same eight rows, the others the extract in its order, again and again."""
    if name == "guide_mlp_adam":
        return data("mlp")
    x, y = fashion()
    rows = (step * size + np.arange(size)) % len(x)
    return x[rows], y[rows]


def run(name, jit, change=lambda variables: variables, dtype=jnp.float32):
    """The losses and the running statistics after 50 and all steps; `change` makes the variables to begin with."""
    model, size, optimizer, args = RUNS[name]
    first = jnp.asarray(batch_of(name, size, 0)[0])
    variables = change(model.init(jax.random.key(0), first, train=False))
    variables = jax.tree.map(lambda v: v.astype(dtype), variables)
    params, stats = variables["params"], variables.get("batch_stats", {})
    tx = getattr(optax, optimizer)(**args)
    state = tx.init(params)

    def update(params, stats, state, x, y, key):
        def loss_fn(params):
            output, changes = model.apply(
                {"params": params, "batch_stats": stats},
                x,
                train=True,
                mutable=["batch_stats"],
                rngs={"dropout": key},
            )
            if jnp.issubdtype(y.dtype, jnp.floating):
                loss = jnp.mean((output[:, 0] - y) ** 2)
            else:
                loss = jnp.mean(optax.softmax_cross_entropy_with_integer_labels(output, y))
            return loss, changes.get("batch_stats", {})

        (loss, stats_), grads = jax.value_and_grad(loss_fn, has_aux=True)(params)
        updates, state_ = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), stats_, state_, loss

    update = jax.jit(update) if jit else update
    losses, kept = [], {}
    for step in range(STEPS):
        x, y = batch_of(name, size, step)
        key = jax.random.fold_in(jax.random.key(1), step)
        x = jnp.asarray(x).astype(dtype)
        params, stats, state, loss = update(params, stats, state, x, jnp.asarray(y), key)
        losses.append(np.asarray(loss)[()])
        if step + 1 in (50, STEPS):
            kept[str(step + 1)] = stats
    return np.array(losses), kept


def distance(a, b):
    return float(np.max(np.abs(a - b) / np.abs(a)))


def masks():
    """What the dropout of that run lets through in some of its steps, as one bit per unit."""
    model = models.DropoutMLP()
    size = RUNS["dropout_fashion_sgd"][1]
    params = model.init(jax.random.key(0), jnp.asarray(batch_of("dropout_fashion_sgd", size, 0)[0]), train=False)
    # The first layer gives ones, so that the second shows the mask.
    ones = jax.tree.map(jnp.zeros_like, params["params"])
    ones["Dense_0"]["bias"] = jnp.ones(32)
    ones["Dense_1"]["kernel"] = jnp.asarray(np.eye(32, 10, dtype=np.float32))
    for step in (0, 1, 50, 199):
        x, _ = batch_of("dropout_fashion_sgd", size, step)
        key = jax.random.fold_in(jax.random.key(1), step)
        output = model.apply({"params": ones}, jnp.asarray(x), train=True, rngs={"dropout": key})
        yield {"name": f"dropout_mask/{step}", "kind": "mask", "step": step, "output": array(output)}


def long_curves_cases():
    for name, (_, size, optimizer, args) in RUNS.items():
        losses, kept = run(name, jit=False)
        jitted, _ = run(name, jit=True)
        yield {
            "name": name,
            "kind": "curve",
            "batch": size,
            "optimizer": optimizer,
            "args": args,
            "losses": [short(loss) for loss in losses],
            "batch_stats": {step: paths(stats, compact) for step, stats in kept.items()},
            "jit_deviates": {"first_50": distance(losses[:50], jitted[:50]), "all": distance(losses, jitted)},
        }
    yield from masks()
