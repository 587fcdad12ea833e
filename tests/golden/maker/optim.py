"""optim.json: ten steps of each optimizer on one small tree, and tables of schedules. Eager, float32."""

import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax

from .encode import array, paths, random_numbers

STEPS = 10
SCHEDULES = {
    "constant": ("constant_schedule", {"value": 0.25}),
    "linear": ("linear_schedule", {"init_value": 1.0, "end_value": 0.1, "transition_steps": 12}),
    "linear_begin": (
        "linear_schedule",
        {"init_value": 0.0, "end_value": 0.5, "transition_steps": 5, "transition_begin": 3},
    ),
    "cosine": ("cosine_decay_schedule", {"init_value": 0.1, "decay_steps": 10}),
    "cosine_alpha": ("cosine_decay_schedule", {"init_value": 0.3, "decay_steps": 12, "alpha": 0.25}),
    "cosine_exponent": ("cosine_decay_schedule", {"init_value": 0.3, "decay_steps": 12, "alpha": 0.1, "exponent": 2.0}),
    "piecewise": ("piecewise_constant_schedule", {"init_value": 0.1, "boundaries_and_scales": {3: 0.5, 7: 0.1}}),
    "piecewise_up": (
        "piecewise_constant_schedule",
        {"init_value": 0.01, "boundaries_and_scales": {1: 10.0, 2: 0.3, 20: 0.3}},
    ),
    "piecewise_none": ("piecewise_constant_schedule", {"init_value": 0.01}),
    "exponential": ("exponential_decay", {"init_value": 1.0, "transition_steps": 4, "decay_rate": 0.5}),
    "exponential_staircase": (
        "exponential_decay",
        {"init_value": 1.0, "transition_steps": 4, "decay_rate": 0.5, "staircase": True},
    ),
    "exponential_begin_end": (
        "exponential_decay",
        {"init_value": 0.5, "transition_steps": 2, "decay_rate": 0.7, "transition_begin": 3, "end_value": 0.1},
    ),
    "warmup_cosine": (
        "warmup_cosine_decay_schedule",
        {"init_value": 0.0, "peak_value": 1.0, "warmup_steps": 4, "decay_steps": 12, "end_value": 0.1},
    ),
    "warmup_cosine_long": (
        "warmup_cosine_decay_schedule",
        {"init_value": 0.01, "peak_value": 0.1, "warmup_steps": 100, "decay_steps": 1000},
    ),
    "polynomial": (
        "polynomial_schedule",
        {"init_value": 1.0, "end_value": 0.1, "power": 2.0, "transition_steps": 12, "transition_begin": 2},
    ),
    "polynomial_root": (
        "polynomial_schedule",
        {"init_value": 0.2, "end_value": 0.7, "power": 0.5, "transition_steps": 100, "transition_begin": -5},
    ),
    "polynomial_none": (
        "polynomial_schedule",
        {"init_value": 0.2, "end_value": 0.7, "power": 3.0, "transition_steps": 0},
    ),
    "exponential_up": (
        "exponential_decay",
        {"init_value": 0.1, "transition_steps": 10, "decay_rate": 1.5, "end_value": 2.0},
    ),
    "exponential_zero": ("exponential_decay", {"init_value": 0.1, "transition_steps": 10, "decay_rate": 0.0}),
    "cosine_root": ("cosine_decay_schedule", {"init_value": 0.3, "decay_steps": 100, "exponent": 0.5}),
    "interpolate_linear": (
        "piecewise_interpolate_schedule",
        {"interpolate_type": "linear", "init_value": 0.5, "boundaries_and_scales": {3: 2.0, 7: 0.1, 100: 0.5}},
    ),
    "interpolate_cosine": (
        "piecewise_interpolate_schedule",
        {"interpolate_type": "cosine", "init_value": 0.5, "boundaries_and_scales": {0: 2.0, 10: 0.1, 50: 3.0}},
    ),
    "interpolate_none": ("piecewise_interpolate_schedule", {"interpolate_type": "cosine", "init_value": 0.5}),
    "linear_onecycle": ("linear_onecycle_schedule", {"transition_steps": 100, "peak_value": 0.4}),
    "linear_onecycle_custom": (
        "linear_onecycle_schedule",
        {
            "transition_steps": 50,
            "peak_value": 0.4,
            "pct_start": 0.2,
            "pct_final": 0.6,
            "div_factor": 4.0,
            "final_div_factor": 10.0,
        },
    ),
    "cosine_onecycle": ("cosine_onecycle_schedule", {"transition_steps": 100, "peak_value": 0.4}),
    "warmup_constant": (
        "warmup_constant_schedule",
        {"init_value": 0.1, "peak_value": 0.9, "warmup_steps": 7},
    ),
    "warmup_cosine_exponent": (
        "warmup_cosine_decay_schedule",
        {
            "init_value": 0.2,
            "peak_value": 1.0,
            "warmup_steps": 3,
            "decay_steps": 50,
            "end_value": 0.05,
            "exponent": 1.5,
        },
    ),
    "warmup_cosine_zero_peak": (
        "warmup_cosine_decay_schedule",
        {"init_value": 0.2, "peak_value": 0.0, "warmup_steps": 3, "decay_steps": 50, "end_value": 0.05},
    ),
    "warmup_exponential": (
        "warmup_exponential_decay_schedule",
        {
            "init_value": 0.0,
            "peak_value": 1.0,
            "warmup_steps": 5,
            "transition_steps": 10,
            "decay_rate": 0.5,
            "transition_begin": 2,
            "staircase": True,
            "end_value": 0.01,
        },
    ),
    "sgdr": (
        "sgdr_schedule",
        {
            "cosine_kwargs": [
                {"init_value": 0.0, "peak_value": 1.0, "warmup_steps": 2, "decay_steps": 6, "end_value": 0.1},
                {"init_value": 0.1, "peak_value": 0.5, "warmup_steps": 4, "decay_steps": 20, "end_value": 0.0},
            ]
        },
    ),
    "join": (
        "join_schedules",
        {"schedules": ["linear", "cosine_alpha", "constant"], "boundaries": [4, 50]},
    ),
}
COUNTS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 20, 50, 100, 101, 500, 999, 1000, 1500]


def schedule(label):
    name, args = SCHEDULES[label]
    if name == "join_schedules":
        args = {**args, "schedules": [schedule(member) for member in args["schedules"]]}
    return getattr(optax, name)(**args)


def described(label):
    name, args = SCHEDULES[label]
    if name == "join_schedules":
        args = {**args, "schedules": [described(member) for member in args["schedules"]]}
    return {
        "schedule": name,
        **{k: {str(b): s for b, s in v.items()} if isinstance(v, dict) else v for k, v in args.items()},
    }


def schedules():
    for label in SCHEDULES:
        fn = schedule(label)
        values = np.array([np.asarray(fn(jnp.asarray(count, jnp.int32)), np.float32) for count in COUNTS], np.float32)
        description = described(label)
        name = description.pop("schedule")
        yield {
            "name": f"schedule/{label}",
            "kind": "schedule",
            "schedule": name,
            "args": description,
            "counts": COUNTS,
            "values": array(values),
        }


def inputs():
    """The start and the gradients of every trajectory. The last entry of b/w gets no gradient at first."""
    params = {"a": random_numbers("optim:a", (3,)), "b": {"w": random_numbers("optim:w", (2, 2))}}
    grads = []
    for step in range(STEPS):
        a, w = random_numbers(f"optim:a:{step}", (3,)), random_numbers(f"optim:w:{step}", (2, 2))
        w[1, 1] = 0 if step < 2 else w[1, 1]
        grads.append({"a": a, "b": {"w": w}})
    return params, grads


def empty_nodes(tree, path=()):
    """Paths of the nodes without children, such as the state of a plain learning rate."""
    if isinstance(tree, dict):
        if not tree:
            return ["/".join(path)]
        return [found for key in sorted(tree) for found in empty_nodes(tree[key], (*path, key))]
    return []


def trajectory(label, description, tx):
    params, grads = jax.tree.map(jnp.asarray, inputs())
    state = tx.init(params)
    first = flax.serialization.to_state_dict(state)
    steps = []
    for gradient in grads:
        updates, state = tx.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
        steps.append(paths(params))
    last = flax.serialization.to_state_dict(state)
    return {
        "name": f"trajectory/{label}",
        "kind": "trajectory",
        **description,
        "steps": steps,
        "init_state": paths(first),
        "final_state": paths(last),
        "empty_nodes": empty_nodes(last),
    }


def trajectories():
    rates = {"0.1": 0.1, "0.01": 0.01, "0.001": 0.001}

    def rate(value):
        return (rates[value], rates[value]) if value in rates else (schedule(value), described(value))

    cases = [
        ("sgd", "sgd", "0.1", {}),
        ("sgd_momentum", "sgd", "0.1", {"momentum": 0.9}),
        ("sgd_nesterov", "sgd", "0.1", {"momentum": 0.9, "nesterov": True}),
        ("sgd_zero_momentum", "sgd", "0.1", {"momentum": 0.0}),
        ("adam", "adam", "0.001", {}),
        ("adam_custom", "adam", "0.01", {"b1": 0.8, "b2": 0.95, "eps": 1e-3, "eps_root": 1e-4}),
        ("adam_nesterov", "adam", "0.01", {"nesterov": True}),
        ("adam_cosine", "adam", "cosine", {}),
        ("sgd_piecewise", "sgd", "piecewise", {}),
        ("sgd_cosine", "sgd", "cosine", {}),
        ("sgd_momentum_cosine", "sgd", "cosine", {"momentum": 0.9}),
        ("sgd_nesterov_warmup_cosine", "sgd", "warmup_cosine", {"momentum": 0.5, "nesterov": True}),
    ]
    for label, name, learning_rate, args in cases:
        value, text = rate(learning_rate)
        tx = getattr(optax, name)(value, **args)
        yield trajectory(label, {"optimizer": name, "args": {"learning_rate": text, **args}}, tx)

    # A chain lists its members in the order in which they are applied.
    chains = {
        "chain_scale_sgd": [("scale", {"step_size": 0.5}), ("sgd", {"learning_rate": 0.1, "momentum": 0.9})],
        "chain_trace_scale": [("trace", {"decay": 0.9, "nesterov": False}), ("scale", {"step_size": -0.1})],
        "chain_adam_scale": [("adam", {"learning_rate": 0.01}), ("scale", {"step_size": 0.5})],
        "chain_of_one": [("sgd", {"learning_rate": 0.1})],
    }
    for label, members in chains.items():
        tx = optax.chain(*[getattr(optax, name)(**args) for name, args in members])
        yield trajectory(
            label, {"optimizer": "chain", "args": {"members": [{"optimizer": n, **a} for n, a in members]}}, tx
        )
    nested = optax.chain(optax.chain(optax.scale(2.0), optax.trace(0.5)), optax.sgd(schedule("cosine")))
    yield trajectory(
        "chain_nested",
        {
            "optimizer": "chain",
            "args": {
                "members": [
                    {
                        "optimizer": "chain",
                        "members": [{"optimizer": "scale", "step_size": 2.0}, {"optimizer": "trace", "decay": 0.5}],
                    },
                    {"optimizer": "sgd", "learning_rate": described("cosine")},
                ]
            },
        },
        nested,
    )


def optim_cases():
    params, grads = inputs()
    yield {
        "name": "inputs",
        "kind": "inputs",
        "params": paths(params),
        "grads": [paths(gradient) for gradient in grads],
    }
    yield from schedules()
    yield from trajectories()
