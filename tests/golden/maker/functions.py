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
    for fn, label, shape, args in (
        ("glu", "default", (3, 4), {}),
        ("glu", "axis0", (4, 2), {"axis": 0}),
        ("standardize", "default", (3, 5), {}),
        ("standardize", "axis0", (4, 2), {"axis": 0}),
        ("standardize", "epsilon", (2, 4), {"epsilon": 0.5}),
        ("standardize", "constant", (2, 1), {}),
        ("normalize", "default", (2, 3), {}),
    ):
        name = f"{fn}/{label}"
        yield activation(
            name, fn, args, random_numbers(name, shape, span=4.0), lambda s: random_numbers(f"{name}:cotangent", s)
        )


def ones(shape):
    return np.ones(shape, np.float32)


def loss_case(name, loss, args, first, second, first_name="logits", second_name="labels"):
    """Gradients with respect to every float argument."""
    fn = getattr(optax.losses, loss)
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
    yield from further_losses()


def written(args):
    """The arguments as the file holds them: a mask is an array, axes are a list."""
    text = {}
    for key, value in args.items():
        if key == "where":
            text[key] = array(value)
        else:
            text[key] = list(value) if isinstance(value, tuple) else value
    return text


def masked_case(name, loss, args, first, second, first_name="logits", second_name="labels"):
    case = loss_case(name, loss, args, first, second, first_name, second_name)
    return {**case, "args": written(args)}


def further_losses():
    logits = random_numbers("further:logits", (3, 4, 2), span=4.0)
    soft = np.asarray(jax.nn.softmax(random_numbers("further:soft", (3, 4, 2)), axis=1))
    index = {1: np.array([[0, 3], [2, 1], [1, 0]], np.int32), (1, 2): np.array([7, 0, 3], np.int32)}
    mask = np.ones((3, 4, 2), bool)
    mask[0, 1:3, 0] = mask[2, 0, 1] = mask[2, 3] = False
    rows = np.array([[True, False], [True, True], [False, True]])
    some = mask.copy()
    some[1, :, 0] = False  # an example without classes
    name = "softmax_cross_entropy"
    yield masked_case(f"{name}/axis", name, {"axis": 1}, logits, soft)
    yield masked_case(f"{name}/axes", name, {"axis": (1, 2)}, logits, soft)
    yield masked_case(f"{name}/where", name, {"axis": 1, "where": mask}, logits, soft)
    name = "softmax_cross_entropy_with_integer_labels"
    yield masked_case(f"{name}/axis", name, {"axis": 1}, logits, index[1])
    yield masked_case(f"{name}/axes", name, {"axis": (1, 2)}, logits, index[1, 2])
    yield masked_case(f"{name}/where", name, {"axis": 1, "where": mask}, logits, index[1])
    yield masked_case(f"{name}/where_none", name, {"axis": -1, "where": np.moveaxis(some, 1, 2)},
                      np.moveaxis(logits, 1, 2), index[1])
    name = "poly_loss_cross_entropy"
    yield masked_case(name, name, {"axis": 1}, logits, soft)
    yield masked_case(f"{name}/where", name, {"axis": 1, "where": mask, "epsilon": -0.5}, logits, soft)

    shape = (4, 3)
    outputs = random_numbers("further:outputs", shape, span=4.0)
    targets = random_numbers("further:targets", shape)
    signs = np.where(random_numbers("further:signs", shape) > 0, 1, -1).astype(np.float32)
    binary = (random_numbers("further:binary", shape) > 0).astype(np.float32)
    chances = np.asarray(jax.nn.softmax(random_numbers("further:chances", shape)))
    logs = np.asarray(jax.nn.log_softmax(outputs))
    sparse = np.array([[1.0, 0.0, 0.0], [0.0, 0.5, 0.5], [0.25, 0.0, 0.75], [0.0, 0.0, 1.0]], np.float32)
    classes = np.array([2, 0, 1, 1], np.int32)
    block = np.array([[True, True, False], [True] * 3, [False, True, True], [True, False, False]])

    name = "safe_softmax_cross_entropy"
    yield masked_case(name, name, {}, outputs, sparse)
    impossible = np.where(sparse == 0, -np.inf, outputs).astype(np.float32)
    yield masked_case(f"{name}/impossible", name, {}, impossible, sparse)
    name = "sigmoid_focal_loss"
    for args in ({}, {"alpha": 0.25, "gamma": 2.0}, {"gamma": 0.5}):
        yield masked_case(f"{name}{options(args)}", name, args, outputs, binary)
    yield masked_case(f"{name}/soft", name, {"alpha": 0.75, "gamma": 1.5}, outputs, chances)
    pair = ("predictions", "targets")
    for name in ("hinge_loss", "perceptron_loss"):
        yield masked_case(name, name, {}, outputs, signs, *pair)
    yield masked_case("hinge_loss/bend", "hinge_loss", {}, np.array([1.0, -1.0, 0.0], np.float32),
                      np.array([1.0, -1.0, 1.0], np.float32), *pair)
    for name in ("multiclass_hinge_loss", "multiclass_perceptron_loss"):
        yield masked_case(name, name, {}, outputs, classes, *pair)
    for name in ("kl_divergence", "generalized_kl_divergence"):
        yield masked_case(name, name, {}, logs, chances, *pair)
        yield masked_case(f"{name}/axis", name, {"axis": 0}, logs, chances, *pair)
        yield masked_case(f"{name}/where", name, {"where": block}, logs, chances, *pair)
    yield masked_case("kl_divergence/zeros", "kl_divergence", {}, logs, sparse, *pair)
    name = "kl_divergence_with_log_targets"
    yield masked_case(name, name, {}, logs, np.log(chances), *pair)
    yield masked_case(f"{name}/where", name, {"where": block}, logs, np.log(chances), *pair)
    yield masked_case("log_cosh", "log_cosh", {}, outputs, targets, *pair)
    large = np.array([0.0, 1e-3, -0.5, 90.0, -90.0, 1e30], np.float32)
    yield masked_case("log_cosh/large", "log_cosh", {}, large, np.zeros(6, np.float32), *pair)
    for name in ("cosine_similarity", "cosine_distance"):
        yield masked_case(name, name, {}, outputs, targets, *pair)
        yield masked_case(f"{name}/axis", name, {"axis": 0, "epsilon": 0.25}, outputs, targets, *pair)
        yield masked_case(f"{name}/axes", name, {"axis": (0, 1)}, outputs, targets, *pair)
        yield masked_case(f"{name}/where", name, {"where": block}, outputs, targets, *pair)
        zero = np.zeros((2, 3), np.float32)
        yield masked_case(f"{name}/zero", name, {"epsilon": 1e-8}, zero, targets[:2], *pair)
        yield masked_case(f"{name}/zero_nan", name, {}, zero, targets[:2], *pair)
    for label, args in (("", {}), ("/axis", {"axis": 0}), ("/where", {"where": block})):
        name = f"smooth_labels{label}"
        output, vjp = jax.vjp(lambda x: optax.smooth_labels(x, 0.1, **args), jnp.asarray(sparse))
        cotangent = jnp.asarray(random_numbers(f"{name}:cotangent", output.shape))
        yield {
            "name": name,
            "loss": "smooth_labels",
            "args": {"alpha": 0.1, **written(args)},
            "labels": array(sparse),
            "output": array(output),
            "cotangent": array(cotangent),
            "grads": {"labels": array(vjp(cotangent)[0])},
        }
