"""curve_noise.json: the runs of long_curves.json in float64, and what one ulp of one parameter makes of a run in float32.

A relu whose input is near zero takes sides by the last bit; from there two runs in float32 go apart. In float64 they do
not within so few steps, so that those runs show whether the formulas are the same.
"""

import jax
import jax.numpy as jnp
import numpy as np

from .encode import array, paths
from .long_curves import RUNS, distance, run

CHANGED = 6


def one_ulp_more(index):
    """Changes one element of the first kernel."""

    def change(variables):
        kernel = np.array(variables["params"]["Conv_0"]["kernel"])
        kernel.flat[index] = np.nextafter(kernel.flat[index], np.float32(np.inf))
        return {**variables, "params": {**variables["params"], "Conv_0": {"kernel": jnp.asarray(kernel)}}}

    return change


def statistics_distance(a, b):
    """Relative to the element, or to a tenth of the largest of its array where that is more, as the tests measure."""

    def leaf(got, expected):
        scale = jnp.maximum(jnp.abs(expected), 0.1 * jnp.max(jnp.abs(expected)))
        return float(jnp.max(jnp.abs(got - expected) / scale))

    return max(jax.tree.leaves(jax.tree.map(leaf, a, b)))


def curve_noise_cases():
    for name in RUNS:
        if name == "dropout_fashion_sgd":
            continue  # float64 draws other masks
        with jax.enable_x64(True):
            losses, kept = run(name, jit=True, dtype=jnp.float64)
            yield {
                "name": f"{name}/float64",
                "kind": "float64",
                "losses": [float(loss) for loss in losses],
                "batch_stats": {step: paths(stats, array) for step, stats in kept.items()},
            }
    name = "resnet_fashion_momentum"
    losses, kept = run(name, jit=True)
    moved = [run(name, jit=True, change=one_ulp_more(index)) for index in range(CHANGED)]
    yield {
        "name": f"{name}/one_ulp",
        "kind": "one_ulp",
        "losses": [distance(losses, other) for other, _ in moved],
        "batch_stats": {
            step: [statistics_distance(other[step], stats) for _, other in moved] for step, stats in kept.items()
        },
    }
