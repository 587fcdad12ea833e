"""further_optimizers.json: fifty steps of the rarer optimizers, as in optimizers.json; Adafactor over leaves with
factored axes, and Lookahead over its two sets of parameters."""

import jax
import jax.numpy as jnp
import optax

from .encode import random_numbers
from .optimizers import compact, gradient, numbers, remembered, start, state_of, trajectory, tx

LEAVES = {"conv": (3, 2, 5), "dense": (4, 3), "square": (3, 3), "wide": (2, 6), "bias": (5,)}


def specs():
    cosine = remembered("cosine_alpha")
    sgd = tx("sgd", learning_rate=0.1, momentum=0.9)
    yield "adan", tx("adan", learning_rate=0.01)
    yield "adan/custom", tx(
        "adan", learning_rate=cosine, b1=0.9, b2=0.8, b3=0.95, eps=1e-3, eps_root=0.0, weight_decay=0.1
    )
    yield "novograd", tx("novograd", learning_rate=0.01)
    yield "novograd/custom", tx(
        "novograd", learning_rate=cosine, b1=0.8, b2=0.5, eps=1e-3, eps_root=1e-3, weight_decay=0.1
    )
    yield "rprop", tx("rprop", learning_rate=0.01)
    yield "rprop/custom", tx(
        "rprop", learning_rate=0.02, eta_minus=0.7, eta_plus=1.5, min_step_size=0.01, max_step_size=0.1
    )
    yield "optimistic_adam_v2", tx("optimistic_adam_v2", learning_rate=0.01)
    yield "optimistic_adam_v2/custom", tx(
        "optimistic_adam_v2", learning_rate=cosine, alpha=0.5, beta=0.25, b1=0.8, nesterov=False
    )
    yield "noisy_sgd", tx("noisy_sgd", learning_rate=0.1, key=3)
    yield "noisy_sgd/custom", tx("noisy_sgd", learning_rate=cosine, eta=0.5, gamma=0.25, key=7)
    yield "adafactor", tx("adafactor", learning_rate=0.1)
    yield "adafactor/factored", tx("adafactor", learning_rate=cosine, min_dim_size_to_factor=2)
    yield "adafactor/all", tx(
        "adafactor",
        learning_rate=0.05,
        min_dim_size_to_factor=1,
        decay_rate=0.5,
        clipping_threshold=0.5,
        momentum=0.8,
        weight_decay_rate=0.01,
        eps=1e-3,
    )
    yield "adafactor/bare", tx(
        "adafactor", multiply_by_parameter_scale=False, clipping_threshold=None, factored=False, decay_rate=0.9
    )
    yield "apply_every", tx("chain", members=[tx("apply_every", k=3), sgd])
    yield "add_noise", tx("chain", members=[tx("add_noise", eta=0.1, gamma=0.5, key=11), sgd])


def factored():
    """Which axes are factored, and the gradients of five steps as they are."""
    params = {path: jnp.asarray(random_numbers(f"factored:{path}", shape)) for path, shape in LEAVES.items()}
    for label, config in (
        ("two", {"min_dim_size_to_factor": 2}),
        ("three", {"min_dim_size_to_factor": 3}),
        ("four", {"min_dim_size_to_factor": 4, "step_offset": -2, "decay_rate": 0.6, "epsilon": 1e-3}),
    ):
        transformation = optax.scale_by_factored_rms(**config)
        state = transformation.init(params)
        first, _ = state_of(state)
        steps = []
        for step in range(5):
            grads = {
                path: jnp.asarray(random_numbers(f"factored:{path}:{step}", shape)) for path, shape in LEAVES.items()
            }
            updates, state = transformation.update(grads, state, params)
            steps.append(
                {
                    "grads": {path: compact(leaf) for path, leaf in grads.items()},
                    "updates": {path: compact(leaf) for path, leaf in updates.items()},
                }
            )
        last, _ = state_of(state)
        yield {
            "name": f"scale_by_factored_rms/{label}",
            "kind": "factored",
            "args": config,
            "params": {path: compact(leaf) for path, leaf in params.items()},
            "steps": steps,
            "init_state": first,
            "final_state": last,
        }


def lookahead():
    for label, fast, config in (
        ("sgd", optax.sgd(0.1, momentum=0.9), {"sync_period": 3, "slow_step_size": 0.25}),
        ("adam_reset", optax.adam(0.01), {"sync_period": 5, "slow_step_size": 0.5, "reset_state": True}),
        ("every_step", optax.sgd(0.1), {"sync_period": 1, "slow_step_size": 0.75}),
    ):
        transformation = optax.lookahead(fast, **config)
        params = optax.LookaheadParams.init_synced(start())
        state = transformation.init(params)
        first, _ = state_of(state)
        kept = []
        for step in range(12):
            updates, state = transformation.update(gradient(step), state, params)
            params = optax.apply_updates(params, updates)
            kept.append({"fast": numbers(params.fast), "slow": numbers(params.slow)})
        last, _ = state_of(state)
        yield {
            "name": f"lookahead/{label}",
            "kind": "lookahead",
            "args": config,
            "steps": kept,
            "init_state": first,
            "final_state": last,
        }


def further_optimizers_cases():
    assert not jax.config.jax_enable_x64
    for name, spec in specs():
        yield trajectory(name, spec)
    yield from factored()
    yield from lookahead()
