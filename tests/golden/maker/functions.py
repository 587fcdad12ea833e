"""activations.json and losses.json: values, and gradients of sum(output * cotangent)."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from .encode import array, random_numbers

GRID = np.array([-88, -30, -10, -6, -3, -2, -1, -0.5, -1 / 64, 0, 1 / 64, 0.5, 1, 2, 3, 6, 10, 30, 88], np.float32)
ELEMENTWISE = [
    ("relu", {}),
    ("relu6", {}),
    ("sigmoid", {}),
    ("tanh", {}),
    ("hard_tanh", {}),
    ("hard_sigmoid", {}),
    ("hard_swish", {}),
    ("silu", {}),
    ("swish", {}),
    ("softplus", {}),
    ("log_sigmoid", {}),
    ("soft_sign", {}),
    ("selu", {}),
    ("elu", {}),
    ("elu", {"alpha": 0.5}),
    ("celu", {}),
    ("celu", {"alpha": 2.0}),
    ("leaky_relu", {}),
    ("leaky_relu", {"negative_slope": 0.25}),
    ("gelu", {"approximate": True}),
    ("gelu", {"approximate": False}),
]


def options(args):
    return "".join(f"/{key}={value}".lower() for key, value in args.items())


def activation(name, fn, args, x, cotangent):
    x = jnp.asarray(x)
    output, vjp = jax.vjp(lambda x: getattr(nn, fn)(x, **args), x)
    cotangent = jnp.asarray(cotangent(output.shape))
    return {
        "name": name,
        "fn": fn,
        "args": args,
        "x": array(x),
        "output": array(output),
        "cotangent": array(cotangent),
        "grad": array(vjp(cotangent)[0]),
    }


def activations_cases():
    for fn, args in ELEMENTWISE:
        yield activation(f"{fn}{options(args)}/grid", fn, args, GRID, ones)
        yield activation(f"{fn}{options(args)}/random", fn, args, random_numbers("activations", (3, 4), span=4.0), ones)
    huge = np.array([[1000.0, 1001.0, 999.0], [-1000.0, 0.0, 1000.0], [1e30, 1e30, -1e30]], np.float32)
    infinite = np.array([[-np.inf, 0.0, 1.0], [-np.inf, -np.inf, 2.0]], np.float32)
    for fn in ("softmax", "log_softmax", "logsumexp"):
        for label, shape, args in (
            ("default", (3, 5), {"axis": -1}),
            ("axis0", (3, 5), {"axis": 0}),
            ("axis1_of_3", (2, 3, 4), {"axis": 1}),
            ("axes", (2, 3, 2), {"axis": (0, 2)}),
            ("rank1", (6,), {"axis": -1}),
            ("one_class", (3, 1), {"axis": -1}),
            ("empty_batch", (0, 4), {"axis": -1}),
        ):
            name = f"{fn}/{label}"
            case = activation(
                name, fn, args, random_numbers(name, shape, span=4.0), lambda s: random_numbers(f"{name}:cotangent", s)
            )
            yield {**case, "args": {"axis": list(args["axis"]) if isinstance(args["axis"], tuple) else args["axis"]}}
        for label, x in (("huge", huge), ("minus_infinity", infinite), ("ties", np.zeros((2, 4), np.float32))):
            name = f"{fn}/{label}"
            yield activation(name, fn, {"axis": -1}, x, lambda s: random_numbers(f"{name}:cotangent", s))


def ones(shape):
    return np.ones(shape, np.float32)


def loss_case(name, loss, args, first, second, first_name="logits", second_name="labels"):
    """Gradients with respect to every float argument."""
    fn = getattr(optax, loss)
    first, second = jnp.asarray(first), jnp.asarray(second)
    inexact = jnp.issubdtype(second.dtype, jnp.floating)
    if inexact:
        output, vjp = jax.vjp(lambda a, b: fn(a, b, **args), first, second)
    else:
        output, vjp = jax.vjp(lambda a: fn(a, second, **args), first)
    cotangent = jnp.asarray(random_numbers(f"{name}:cotangent", output.shape))
    grads = dict(zip((first_name, second_name), map(array, vjp(cotangent)), strict=False))
    return {
        "name": name,
        "loss": loss,
        "args": args,
        first_name: array(first),
        second_name: array(second),
        "output": array(output),
        "cotangent": array(cotangent),
        "grads": grads,
    }


def losses_cases():
    huge = np.array([[1000.0, -1000.0, 0.0], [88.0, -88.0, 87.0], [30.0, -30.0, 0.0]], np.float32)
    shapes = {"2d": (4, 3), "1d": (5,), "3d": (2, 2, 4), "empty": (0, 3), "one_class": (3, 1)}
    for label, shape in shapes.items():
        logits = random_numbers(f"logits/{label}", shape, span=4.0)
        classes = shape[-1]
        index = (np.arange(np.prod(shape[:-1], dtype=int)) * 2 % classes).reshape(shape[:-1]).astype(np.int32)
        soft = np.asarray(jax.nn.softmax(random_numbers(f"soft/{label}", shape)))
        name = "softmax_cross_entropy"
        yield loss_case(f"{name}/{label}", name, {}, logits, np.eye(classes, dtype=np.float32)[index])
        yield loss_case(f"{name}/{label}/soft", name, {}, logits, soft)
        name = "softmax_cross_entropy_with_integer_labels"
        yield loss_case(f"{name}/{label}", name, {}, logits, index)
        name = "sigmoid_binary_cross_entropy"
        yield loss_case(
            f"{name}/{label}", name, {}, logits, (random_numbers(f"binary/{label}", shape) > 0).astype(np.float32)
        )
        yield loss_case(f"{name}/{label}/soft", name, {}, logits, soft)
        targets = random_numbers(f"targets/{label}", shape)
        for name, args in (("l2_loss", {}), ("squared_error", {}), ("huber_loss", {}), ("huber_loss", {"delta": 0.25})):
            yield loss_case(f"{name}{options(args)}/{label}", name, args, logits, targets, "predictions", "targets")
    yield loss_case("softmax_cross_entropy/huge", "softmax_cross_entropy", {}, huge, np.eye(3, dtype=np.float32))
    name = "softmax_cross_entropy_with_integer_labels"
    yield loss_case(f"{name}/huge", name, {}, huge, np.array([0, 1, 2], np.int32))
    yield loss_case(f"{name}/uint8_labels", name, {}, random_numbers(name, (3, 4)), np.array([3, 0, 1], np.uint8))
    # Out of range: -4..-1 wrap, the rest gives NaN.
    yield loss_case(
        f"{name}/out_of_range", name, {}, random_numbers(name, (5, 4)), np.array([4, -1, -4, -5, 0], np.int32)
    )
    yield loss_case(
        "sigmoid_binary_cross_entropy/huge", "sigmoid_binary_cross_entropy", {}, huge, np.eye(3, dtype=np.float32)
    )
    # Exactly at the bend of the Huber loss, and at zero error.
    bend = np.array([1.0, -1.0, 0.0, 2.0, -3.0], np.float32)
    for name in ("huber_loss", "l2_loss"):
        yield loss_case(f"{name}/bend", name, {}, bend, np.zeros(5, np.float32), "predictions", "targets")
