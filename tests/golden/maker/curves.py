"""curves.json: whole training runs in eager float32; beside them under jit and in float64, as a measure of noise."""

import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax

from . import models
from .encode import array, leaf, paths

CROSS_ENTROPY = "loss = mean of softmax_cross_entropy_with_integer_labels"
FORMULAS = {
    "mlp": "x[i,j] = ((7*i + 3*j) mod 11) / 10 - 0.5 for shape (8,3); y[i] = (i mod 4) / 2; "
    "loss = mean((output[i,0] - y[i])^2)",
    "cnn": "x[n] = (n*n mod 37) / 18 - 1 for the row-major index n of shape (6,6,6,1); label[i] = i mod 3; "
    + CROSS_ENTROPY,
    "bn_lenet": "x[n] = (n*n mod 251) / 250 for the row-major index n of shape (16,28,28,1); label[i] = i mod 10; "
    + CROSS_ENTROPY,
}
ROUNDING = "; x and y computed in float64, then rounded once to float32"


def data(label):
    if label == "mlp":
        i, j = np.indices((8, 3))
        return ((7 * i + 3 * j) % 11 / 10 - 0.5).astype(np.float32), (np.arange(8) % 4 / 2).astype(np.float32)
    shape, modulus, scale, offset, classes = {
        "cnn": ((6, 6, 6, 1), 37, 18, 1, 3),
        "bn_lenet": ((16, 28, 28, 1), 251, 250, 0, 10),
    }[label]
    n = np.arange(np.prod(shape), dtype=np.int64)
    return (n * n % modulus / scale - offset).astype(np.float32).reshape(shape), (np.arange(shape[0]) % classes).astype(
        np.int32
    )


MODELS = {"mlp": models.MLP(), "cnn": models.CNN(), "bn_lenet": models.BNLeNet()}
OPTIMIZERS = {"sgd": {"learning_rate": 0.1, "momentum": 0.9}, "adam": {"learning_rate": 0.01}}
RUNS = [("mlp", "sgd", 20), ("mlp", "adam", 20), ("cnn", "sgd", 20), ("bn_lenet", "sgd", 10)]


def run(label, optimizer, steps, dtype=jnp.float32, jit=False):
    model = MODELS[label]
    x, y = data(label)
    variables = model.init(jax.random.key(0), jnp.asarray(x), train=False)
    variables = jax.tree.map(lambda v: v.astype(dtype), variables)
    params, stats = variables["params"], variables["batch_stats"]
    x = jnp.asarray(x).astype(dtype)
    y = jnp.asarray(y)
    tx = getattr(optax, optimizer)(**OPTIMIZERS[optimizer])
    state = tx.init(params)

    def loss_of(output):
        if label == "mlp":
            return jnp.mean((output[:, 0] - y.astype(dtype)) ** 2)
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(output, y))

    def step(params, stats, state):
        def loss_fn(params):
            output, updates = model.apply(
                {"params": params, "batch_stats": stats}, x, train=True, mutable=["batch_stats"]
            )
            return loss_of(output), (output, updates["batch_stats"])

        (loss, (output, stats_)), grads = jax.value_and_grad(loss_fn, has_aux=True)(params)
        updates, state_ = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), stats_, state_, loss, output

    step = jax.jit(step) if jit else step
    losses, accuracies = [], []
    for _ in range(steps):
        params, stats, state, loss, output = step(params, stats, state)
        losses.append(np.asarray(loss))
        accuracies.append(np.float32(np.mean(np.argmax(np.asarray(output), -1) == np.asarray(y))))
    output = model.apply({"params": params, "batch_stats": stats}, x, train=False)
    return {
        "losses": np.array(losses),
        "accuracies": np.array(accuracies),
        "eval_loss": np.asarray(loss_of(output)),
        "batch_stats": stats,
        "params": params,
    }


def wide():
    """The same runs in float64, for the child process. Initial values are the float32 ones."""
    jax.config.update("jax_enable_x64", True)
    cases = {}
    for label, optimizer, steps in RUNS:
        result = run(label, optimizer, steps, jnp.float64)
        cases[f"{label}_{optimizer}"] = {"losses": array(result["losses"]), "eval_loss": float(result["eval_loss"])}
    print(json.dumps(cases))


def curves_cases():
    command = [sys.executable, "-c", "from maker.curves import wide; wide()"]
    doubles = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, cwd=sys.path[0]).stdout)
    for label, optimizer, steps in RUNS:
        name = f"{label}_{optimizer}"
        result = run(label, optimizer, steps)
        jitted = run(label, optimizer, steps, jit=True)
        x, _ = data(label)
        case = {
            "name": name,
            "model": label,
            "data": FORMULAS[label] + ROUNDING,
            "x": leaf(x, limit=0),
            "seed": 0,
            "optimizer": optimizer,
            "args": OPTIMIZERS[optimizer],
            "steps": steps,
            "losses": array(result["losses"]),
            "eval_loss": float(result["eval_loss"]),
        }
        if label != "mlp":
            case["accuracies"] = array(result["accuracies"])
        if optimizer == "adam":
            case["note"] = (
                "Compare the train losses only: the bias before BatchNorm has a zero gradient in exact arithmetic, "
                "and Adam turns its rounding noise into full steps."
            )
        else:
            case["batch_stats"] = paths(result["batch_stats"], lambda v: leaf(v, limit=24))
            case["params"] = paths(result["params"], lambda v: leaf(v, limit=24))
        yield {
            **case,
            "jit": {"losses": array(jitted["losses"]), "eval_loss": float(jitted["eval_loss"])},
            "float64": doubles[name],
        }
