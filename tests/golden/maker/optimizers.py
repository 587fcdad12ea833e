"""optimizers.json: fifty steps of every optimizer and gradient transformation, eager, float32.

A transformation is written down as {"fn": name, "args": {...}}: this file builds Optax's from it, the test linseed's.
Gradients follow a formula (`gradient`), parameters and states are kept for a few steps only.
"""

import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax

from .encode import random_numbers
from .optim import described, empty_nodes, schedule

STEPS = 50
KEPT = (1, 2, 5, 10, 25, 50)
SHAPES = {"a": (3,), "b/w": (2, 2), "c": ()}


def tree(flat):
    return flax.traverse_util.unflatten_dict(flat, sep="/")


def flatten(nested):
    flat = flax.traverse_util.flatten_dict(nested, sep="/")
    return {path: flat[path] for path in sorted(flat)}


def gradient(step, poison=()):
    """Element n of all leaves in order, at step t from 0: ((7n + 13t + 5nt + t^2) mod 129 - 64) / 64, but for element 6,
    which is 0 in the first two steps, and element 0, which is NaN in the steps of `poison`."""
    flat, n = {}, 0
    for path, shape in SHAPES.items():
        values = np.zeros(int(np.prod(shape)), np.float32)
        for i in range(values.size):
            values[i] = ((7 * n + 13 * step + 5 * n * step + step * step) % 129 - 64) / 64
            if n == 6 and step < 2:
                values[i] = 0
            if n == 0 and step in poison:
                values[i] = np.nan
            n += 1
        flat[path] = jnp.asarray(values.reshape(shape))
    return tree(flat)


# The arguments that are themselves trees or transformations.


def rate(label):
    return described(label)


def mask(**paths):
    return {"mask": {path.replace("__", "/"): value for path, value in paths.items()}}


def labels(**paths):
    return {"labels": {path.replace("__", "/"): value for path, value in paths.items()}}


def tx(fn, **args):
    return {"fn": fn, "args": args}


CONDITIONS = {"every_second": lambda step, **_: step % 2 == 0}
SKIPS = {
    "skip_not_finite": optax.skip_not_finite,
    "skip_large_updates": lambda u, g, p: optax.skip_large_updates(u, g, p, max_squared_norm=2.5),
}


def argument(value):
    """What Optax takes for a written-down argument."""
    if isinstance(value, list):
        return [argument(member) for member in value]
    if not isinstance(value, dict):
        return value
    if "mask" in value or "labels" in value:
        entries = value.get("mask", value.get("labels"))
        return entries[""] if "" in entries else tree(entries)
    if "schedule" in value:
        return SCHEDULES[id(value)]
    if "fn" in value:
        return build(value)
    return {name: argument(member) for name, member in value.items()}


SCHEDULES = {}


def remembered(label):
    """A described schedule, and what it stands for."""
    text = rate(label)
    SCHEDULES[id(text)] = schedule(label)
    return text


def build(spec):
    fn, args = spec["fn"], {name: argument(value) for name, value in spec["args"].items()}
    if fn == "chain":
        return optax.chain(*args["members"])
    if fn == "named_chain":
        return optax.named_chain(*map(tuple, args["members"]))
    if fn == "multi_steps":
        args["every_k_schedule"] = args.pop("every_k")
        if "should_skip" in args:
            args["should_skip_update_fn"] = SKIPS[args.pop("should_skip")]
        return optax.MultiSteps(args.pop("inner"), **args).gradient_transformation()
    if fn in ("conditionally_transform", "conditionally_mask"):
        return getattr(optax, fn)(args["inner"], CONDITIONS[args["condition"]])
    if fn == "inject_hyperparams":
        return optax.inject_hyperparams(getattr(optax, args["factory"]))(**args["hyperparams"])
    if fn == "multi_transform":
        return optax.multi_transform(args["transforms"], args["labels"])
    if fn in ("freeze", "selective_transform"):
        module = optax.transforms
        return module.freeze(args["mask"]) if fn == "freeze" else module.selective_transform(
            args["inner"], freeze_mask=args["mask"]
        )
    return getattr(optax, fn)(**args)


ALL, NONE = {"mask": {"": True}}, {"mask": {"": False}}


def specs():
    sgd = tx("sgd", learning_rate=0.1, momentum=0.9)
    adam = tx("adam", learning_rate=0.01)
    cosine = remembered("cosine_alpha")
    piecewise = remembered("piecewise")
    warmup = remembered("warmup_cosine")

    yield "sgd", tx("sgd", learning_rate=0.1)
    yield "sgd/momentum", sgd
    yield "sgd/nesterov", tx("sgd", learning_rate=0.1, momentum=0.9, nesterov=True)
    yield "sgd/schedule", tx("sgd", learning_rate=warmup, momentum=0.5)
    yield "adam", tx("adam", learning_rate=0.001)
    yield "adam/custom", tx("adam", learning_rate=0.01, b1=0.8, b2=0.95, eps=1e-3, eps_root=1e-4)
    yield "adam/schedule", tx("adam", learning_rate=cosine)
    yield "nadam", tx("nadam", learning_rate=0.01)
    yield "adamw", tx("adamw", learning_rate=0.01)
    yield "adamw/mask", tx("adamw", learning_rate=0.01, weight_decay=0.1, mask=mask(a=True, b=False, c=True))
    yield "adamw/schedules", tx("adamw", learning_rate=cosine, weight_decay=piecewise)
    yield "adamw/nesterov", tx("adamw", learning_rate=0.01, weight_decay=0.0, nesterov=True)
    yield "nadamw", tx("nadamw", learning_rate=0.01, weight_decay=0.01)
    yield "amsgrad", tx("amsgrad", learning_rate=0.01)
    yield "adamax", tx("adamax", learning_rate=0.01)
    yield "adamax/custom", tx("adamax", learning_rate=cosine, b1=0.5, b2=0.9, eps=1e-2)
    yield "adamaxw", tx("adamaxw", learning_rate=0.01, weight_decay=0.05, mask=mask(a=False, b__w=True, c=False))
    yield "radam", tx("radam", learning_rate=0.01)
    yield "radam/custom", tx("radam", learning_rate=0.01, b1=0.8, b2=0.9, eps=1e-3, eps_root=1e-3, threshold=4.5)
    yield "radam/nesterov", tx("radam", learning_rate=0.01, nesterov=True)
    yield "adabelief", tx("adabelief", learning_rate=0.01)
    yield "adabelief/custom", tx("adabelief", learning_rate=0.01, b2=0.9, eps=1e-4, eps_root=1e-3, nesterov=True)
    yield "yogi", tx("yogi", learning_rate=0.01)
    yield "lion", tx("lion", learning_rate=0.001)
    yield "lion/mask", tx("lion", learning_rate=cosine, b1=0.7, b2=0.8, weight_decay=0.1, mask=mask(a=True, b=True, c=False))
    yield "rmsprop", tx("rmsprop", learning_rate=0.01)
    yield "rmsprop/centered", tx("rmsprop", learning_rate=0.01, decay=0.5, eps=1e-2, centered=True)
    yield "rmsprop/momentum", tx("rmsprop", learning_rate=cosine, initial_scale=1.0, momentum=0.9, nesterov=True)
    yield "rmsprop/bias_correction", tx("rmsprop", learning_rate=0.01, bias_correction=True, eps_in_sqrt=False)
    yield "rmsprop/all", tx(
        "rmsprop",
        learning_rate=0.01,
        eps=1e-2,
        initial_scale=1.0,  # without it the first variance is the difference of two equal numbers
        centered=True,
        bias_correction=True,
        eps_in_sqrt=False,
        momentum=0.5,
    )
    yield "adagrad", tx("adagrad", learning_rate=0.1)
    yield "adagrad/zero", tx("adagrad", learning_rate=0.1, initial_accumulator_value=0.0, eps=1e-3)
    yield "adadelta", tx("adadelta", learning_rate=1.0)
    yield "adadelta/decay", tx("adadelta", learning_rate=0.5, rho=0.8, eps=1e-4, weight_decay=0.1)
    yield "adadelta/without_rate", tx("adadelta", weight_decay=0.1, weight_decay_mask=mask(a=True, b=False, c=False))
    yield "lamb", tx("lamb", learning_rate=0.01)
    yield "lamb/mask", tx("lamb", learning_rate=cosine, weight_decay=0.1, mask=mask(a=True, b=False, c=False))
    yield "lars", tx("lars", learning_rate=1.0)
    yield "lars/masks", tx(
        "lars",
        learning_rate=0.5,
        weight_decay=0.1,
        weight_decay_mask=mask(a=True, b=False, c=False),
        trust_coefficient=0.1,
        eps=0.01,
        trust_ratio_mask=mask(a=False, b__w=True, c=True),
        momentum=0.5,
        nesterov=True,
    )
    yield "sign_sgd", tx("sign_sgd", learning_rate=0.01)
    yield "signum", tx("signum", learning_rate=0.01, beta=0.8)
    yield "fromage", tx("fromage", learning_rate=0.1)
    yield "fromage/schedule", tx("fromage", learning_rate=cosine, min_norm=0.5)
    yield "optimistic_gradient_descent", tx("optimistic_gradient_descent", learning_rate=0.1, alpha=0.5, beta=0.25)

    def before_sgd(*members):
        return tx("chain", members=[*members, sgd])

    for name, member in (
        ("clip", tx("clip", max_delta=0.25)),
        ("clip_by_global_norm", tx("clip_by_global_norm", max_norm=1.25)),
        ("clip_by_block_rms", tx("clip_by_block_rms", threshold=0.5)),
        ("adaptive_grad_clip", tx("adaptive_grad_clip", clipping=0.5)),
        ("centralize", tx("centralize")),
        ("normalize_by_update_norm", tx("normalize_by_update_norm", scale_factor=0.5)),
        ("scale_by_param_block_norm", tx("scale_by_param_block_norm", min_scale=0.5)),
        ("scale_by_param_block_rms", tx("scale_by_param_block_rms")),
        ("ema", tx("ema", decay=0.8)),
        ("ema/biased", tx("ema", decay=0.8, debias=False)),
        ("add_decayed_weights", tx("add_decayed_weights", weight_decay=0.1)),
        ("add_decayed_weights/schedule", tx("add_decayed_weights", weight_decay=piecewise)),
        ("scale_by_schedule", tx("scale_by_schedule", step_size_fn=cosine)),
        ("set_to_zero", tx("set_to_zero")),
        ("freeze", tx("freeze", mask=mask(a=True, b=False, c=False))),
    ):
        yield name, before_sgd(member)
    yield "keep_params_nonnegative", tx("chain", members=[sgd, tx("keep_params_nonnegative")])
    yield "named_chain", tx("named_chain", members=[["second", tx("clip", max_delta=0.5)], ["first", adam]])

    yield "masked", tx("masked", inner=adam, mask=mask(a=True, b=False, c=True))
    yield "masked/all", tx("masked", inner=adam, mask=ALL)
    yield "masked/none", tx("masked", inner=adam, mask=NONE)
    yield "selective_transform", tx("selective_transform", inner=adam, mask=mask(a=False, b=True, c=False))
    yield "multi_transform", tx(
        "multi_transform",
        transforms={"fast": sgd, "slow": adam, "unused": tx("sgd", learning_rate=1.0), "zero": tx("set_to_zero")},
        labels=labels(a="slow", b="fast", c="zero"),
    )
    yield "multi_steps", tx("multi_steps", inner=adam, every_k=4)
    yield "multi_steps/sum", tx("multi_steps", inner=sgd, every_k=3, use_grad_mean=False)
    yield "multi_steps/skip_large_updates", tx("multi_steps", inner=adam, every_k=2, should_skip="skip_large_updates")
    yield "conditionally_transform", tx("conditionally_transform", inner=sgd, condition="every_second")
    yield "conditionally_mask", tx("conditionally_mask", inner=adam, condition="every_second")
    yield "inject_hyperparams/adam", tx(
        "inject_hyperparams", factory="adam", hyperparams={"learning_rate": cosine, "b1": 0.8}
    )
    yield "inject_hyperparams/sgd", tx(
        "inject_hyperparams", factory="sgd", hyperparams={"learning_rate": 0.1, "momentum": piecewise}
    )
    # With NaNs in steps 3, 4, 5 and 20.
    yield "poisoned/apply_if_finite", tx("apply_if_finite", inner=adam, max_consecutive_errors=5)
    yield "poisoned/apply_if_finite_passes", tx("apply_if_finite", inner=sgd, max_consecutive_errors=2)
    yield "poisoned/multi_steps_skip", tx("multi_steps", inner=adam, every_k=3, should_skip="skip_not_finite")
    yield "poisoned/multi_steps", tx("multi_steps", inner=sgd, every_k=3)
    yield "poisoned/zero_nans", before_sgd(tx("zero_nans"))
    yield "poisoned/clip_by_global_norm", before_sgd(tx("clip_by_global_norm", max_norm=1.0))


POISON = (3, 4, 5, 20)
# RAdam's length of the average is a small difference of large numbers, and shows how b2^t is computed: eager JAX
# multiplies binary powers, jitted JAX rounds the exact power, which is what linseed does.
JITTED = ("radam", "radam/custom", "radam/nesterov")


def short(value):
    """The shortest text that gives back the same float32."""
    value = np.asarray(value)
    if value.dtype != np.float32:
        return int(value)
    if np.isnan(value):
        return "nan"
    if np.isinf(value):
        return "inf" if value > 0 else "-inf"
    return float(str(np.float32(value)))


def compact(value):
    value = np.asarray(value)
    return {"dtype": value.dtype.name, "shape": list(value.shape), "data": [short(v) for v in value.reshape(-1)]}


def numbers(nested):
    return [short(v) for leaf in flatten(nested).values() for v in np.asarray(leaf).reshape(-1)]


def is_key(leaf):
    return jnp.issubdtype(jnp.asarray(leaf).dtype, jax.dtypes.prng_key)


def state_of(state):
    # Flax knows no OrderedDict, which is what named_chain gives: a plain one has the layout meant.
    state = dict(state) if isinstance(state, dict) else state
    if any(is_key(leaf) for leaf in jax.tree.leaves(state)):
        state = jax.tree.map(lambda leaf: jax.random.key_data(leaf) if is_key(leaf) else leaf, state)
    nested = flax.serialization.to_state_dict(state)
    return {path: compact(leaf) for path, leaf in flatten(nested).items()}, empty_nodes(nested)


def start():
    return tree({path: jnp.asarray(random_numbers(f"optimizers:{path}", shape)) for path, shape in SHAPES.items()})


def trajectory(name, spec):
    poison = POISON if name.startswith("poisoned/") else ()
    transformation = build(spec)
    params = start()
    state = transformation.init(params)
    first, empty = state_of(state)
    update = jax.jit(transformation.update) if name in JITTED else transformation.update
    kept = []
    for step in range(STEPS):
        updates, state = update(gradient(step, poison), state, params)
        params = optax.apply_updates(params, updates)
        if step + 1 in KEPT:
            kept.append(numbers(params))
    last, last_empty = state_of(state)
    assert last_empty == empty
    return {
        "name": name,
        "kind": "trajectory",
        "spec": spec,
        "poison": list(poison),
        "params": kept,
        "init_state": first,
        "final_state": last,
        "empty_nodes": empty,
    }


def optimizers_cases():
    assert not jax.config.jax_enable_x64
    yield {
        "name": "inputs",
        "kind": "inputs",
        "params": {path: compact(leaf) for path, leaf in flatten(start()).items()},
        "kept_steps": list(KEPT),
        "gradient_at_step_7": numbers(gradient(7)),
    }
    for name, spec in specs():
        yield trajectory(name, spec)
