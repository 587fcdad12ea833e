"""jax_functions.json: functions of jax.nn and losses of Optax over several arrays, with gradients of sum(output * weights).

`inputs` are the arrays that a gradient is asked for, `constants` the others, `args` numbers and flags.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from .encode import array, random_numbers

FUNCTIONS = {
    "log1mexp": jax.nn.log1mexp,
    "logmeanexp": jax.nn.logmeanexp,
    "dot_product_attention": jax.nn.dot_product_attention,
    "ctc_loss": optax.ctc_loss,
}


def case(fn, label, inputs, constants=None, **args):
    inputs = {k: jnp.asarray(v) for k, v in inputs.items()}
    constants = {k: jnp.asarray(v) for k, v in (constants or {}).items()}
    call = lambda inputs: FUNCTIONS[fn](**inputs, **constants, **args)  # noqa: E731
    output, vjp = jax.vjp(call, inputs)
    weights = jnp.asarray(random_numbers(f"jax_functions:{fn}:{label}:weights", output.shape), output.dtype)
    return {
        "name": f"{fn}/{label}",
        "fn": fn,
        "args": {k: list(v) if isinstance(v, tuple) else v for k, v in args.items()},
        "inputs": {k: array(v) for k, v in inputs.items()},
        "constants": {k: array(v) for k, v in constants.items()},
        "output": array(output),
        "weights": array(weights),
        "grads": {k: array(v) for k, v in vjp(weights)[0].items()},
    }


def numbers(label, *shape, span=2.0):
    return random_numbers(f"jax_functions:{label}", shape, span=span)


def exponentials():
    x = np.array([1e-30, 1e-6, 0.01, 0.5, 0.6931, 0.6932, 1.0, 4.0, 20.0, 90.0, 200.0], np.float32)
    yield case("log1mexp", "grid", {"x": x})
    x = numbers("logmeanexp", 3, 4, span=8.0)
    where = numbers("where", 3, 4) > -0.5
    yield case("logmeanexp", "all", {"x": x})
    for axis in (0, -1, (0, 1)):
        yield case("logmeanexp", f"axis_{axis}", {"x": x}, axis=axis)
    yield case("logmeanexp", "keepdims", {"x": x}, axis=1, keepdims=True)
    yield case("logmeanexp", "where", {"x": x}, {"where": where}, axis=1)


def attention():
    def qkv(batch, length, source, heads, groups, depth):
        label = f"{length}{source}{heads}{groups}"
        return {
            "query": numbers(f"query{label}", batch, length, heads, depth),
            "key": numbers(f"key{label}", batch, source, groups, depth),
            "value": numbers(f"value{label}", batch, source, groups, depth),
        }

    plain = qkv(2, 4, 5, 2, 2, 3)
    grouped = qkv(2, 4, 5, 4, 2, 3)
    square = qkv(2, 6, 6, 2, 1, 4)
    mask = numbers("mask", 2, 2, 4, 5) > -0.75
    bias = numbers("bias", 2, 4, 4, 5)
    fn = "dot_product_attention"
    yield case(fn, "plain", plain)
    yield case(fn, "scale", plain, scale=0.25)
    yield case(fn, "grouped", grouped)
    yield case(fn, "one_key_head", square)
    yield case(fn, "mask", plain, {"mask": mask})
    yield case(fn, "mask_of_queries", plain, {"mask": mask[:, :1, :, :]})
    yield case(fn, "bias", {**plain, "bias": bias[:, :2]})
    yield case(fn, "grouped_bias", {**grouped, "bias": bias})
    yield case(fn, "bias_for_all", {**grouped, "bias": bias[:1, :1]})
    yield case(fn, "causal", square, is_causal=True)
    yield case(fn, "causal_not_square", plain, is_causal=True)
    yield case(fn, "window", square, local_window_size=(1, 2))
    yield case(fn, "window_of_one_size", square, local_window_size=1)
    yield case(fn, "causal_window", square, is_causal=True, local_window_size=(2, 0))
    lengths = {"query_seq_lengths": np.array([4, 2], np.int32), "key_value_seq_lengths": np.array([3, 6], np.int32)}
    yield case(fn, "lengths", square, lengths)
    yield case(fn, "length_zero", square, {"key_value_seq_lengths": np.array([0, 1], np.int32)})
    yield case(fn, "everything", {**square, "bias": numbers("wide", 2, 2, 6, 6)}, lengths, is_causal=True, scale=2.0)


def ctc():
    logits = numbers("logits", 3, 7, 5, span=3.0)
    none = np.zeros((3, 7), np.float32)
    labels = np.array([[1, 2, 3], [2, 2, 4], [3, 1, 1]], np.int32)
    all_of_them = np.zeros((3, 3), np.float32)
    fn = "ctc_loss"

    def given(paddings, labels, label_paddings):
        return {"logit_paddings": paddings, "labels": labels, "label_paddings": label_paddings}

    yield case(fn, "whole", {"logits": logits}, given(none, labels, all_of_them))
    paddings = none.copy()
    paddings[0, 5:] = 1
    paddings[1, 4:] = 1
    label_paddings = all_of_them.copy()
    label_paddings[0, 2:] = 1
    label_paddings[2, :] = 1
    yield case(fn, "padded", {"logits": logits}, given(paddings, labels, label_paddings))
    yield case(fn, "blank_last", {"logits": logits}, given(none, labels - 1, all_of_them), blank_id=4)
    # Beside scores of -1e5 a float32 holds no more than the hundredths of a probability's logarithm.
    with jax.enable_x64(True):
        wide = logits.astype(np.float64)
        yield case(fn, "impossible", {"logits": wide[:, :2]}, given(none[:, :2], labels, all_of_them))
        yield case(
            fn, "log_epsilon", {"logits": wide[:, :3]}, given(none[:, :3], labels, all_of_them), log_epsilon=-1e3
        )


def jax_functions_cases():
    yield from exponentials()
    yield from attention()
    yield from ctc()
