"""mixed_optimizers.json: steps of optimizers whose first moment has a dtype of its own, over float64 parameters and
gradients (64-bit mode); SM3 over leaves of one axis and more; optimistic Adam, as in optimizers.json."""

import warnings

import flax
import jax
import jax.numpy as jnp
import optax

from .encode import array, random_numbers
from .optim import empty_nodes
from .optimizers import trajectory, tx

STEPS = 12
LEAVES = {"bias": (5,), "conv": (3, 2, 4), "dense": (4, 3)}
MIXED = {
    "adam": ("adam", {}),
    "nadam": ("nadam", {"b1": 0.8}),
    "adamw": ("adamw", {"weight_decay": 0.1}),
    "nadamw": ("nadamw", {"weight_decay": 0.1}),
    "amsgrad": ("amsgrad", {}),
    "lion": ("lion", {"b1": 0.8}),
    "optimistic_adam_v2": ("optimistic_adam_v2", {"alpha": 0.5}),
}


def leaves(label, dtype):
    return {path: jnp.asarray(random_numbers(f"mixed:{label}:{path}", shape), dtype) for path, shape in LEAVES.items()}


def steps(name, kind, transformation, dtype, **described):
    """The parameters after every step, from gradients that are written down."""
    params = leaves("start", dtype)
    state = transformation.init(params)
    first, empty = state_with_dtypes(state)
    kept = []
    for step in range(STEPS):
        grads = leaves(f"gradient{step}", dtype)
        updates, state = transformation.update(grads, state, params)
        params = optax.apply_updates(params, updates)
        kept.append({path: array(leaf) for path, leaf in params.items()})
    last, _ = state_with_dtypes(state)
    return {"name": name, "kind": kind, **described, "init_state": first, "empty_nodes": empty, "steps": kept,
            "final_state": last}


def state_with_dtypes(state):
    nested = flax.serialization.to_state_dict(state)
    flat = flax.traverse_util.flatten_dict(nested, sep="/")
    return {path: array(flat[path]) for path in sorted(flat)}, empty_nodes(nested)


def mixed_optimizers_cases():
    warnings.simplefilter("ignore", DeprecationWarning)
    with jax.enable_x64(True):
        yield {
            "name": "inputs",
            "kind": "inputs",
            "params": {path: array(leaf) for path, leaf in leaves("start", jnp.float64).items()},
            "grads": [
                {path: array(leaf) for path, leaf in leaves(f"gradient{step}", jnp.float64).items()}
                for step in range(STEPS)
            ],
        }
        for name, (fn, args) in MIXED.items():
            transformation = getattr(optax, fn)(0.01, mu_dtype=jnp.float32, **args)
            yield steps(f"mixed/{name}", "mixed", transformation, jnp.float64, fn=fn, args=args)
    for label, args in (("default", {}), ("custom", {"b1": 0.5, "b2": 0.75, "eps": 0.01})):
        yield steps(f"scale_by_sm3/{label}", "sm3", optax.scale_by_sm3(**args), jnp.float32, fn="scale_by_sm3", args=args)
    yield steps("sm3", "sm3", optax.sm3(0.1, 0.8), jnp.float32, fn="sm3", args={"learning_rate": 0.1, "momentum": 0.8})
    yield trajectory("optimistic_adam", tx("optimistic_adam", learning_rate=0.01))
    yield trajectory(
        "optimistic_adam/custom", tx("optimistic_adam", learning_rate=0.02, optimism=0.5, b1=0.8, nesterov=False)
    )
