"""initial_fields.json: layers whose initializers are given: what init draws, and what a call gives and updates."""

import flax.linen as nn
import jax.numpy as jnp
from flax.linen import initializers as init
from jax import random

from .call import Caller, nested
from .encode import array, key_words, random_numbers

LAYERS = {
    "BatchNorm": (
        lambda: nn.BatchNorm(False, momentum=0.9, scale_init=init.normal(0.5), bias_init=init.uniform(2.0)),
        (4, 3),
    ),
    "BatchNorm/axes": (
        lambda: nn.BatchNorm(False, axis=(1, 2), scale_init=init.uniform(3.0), bias_init=init.normal(1.0)),
        (4, 2, 3),
    ),
    "LayerNorm": (lambda: nn.LayerNorm(scale_init=init.normal(0.5), bias_init=init.uniform(2.0)), (2, 4)),
    "GroupNorm": (lambda: nn.GroupNorm(2, scale_init=init.normal(0.5), bias_init=init.uniform(2.0)), (2, 3, 4)),
    "RMSNorm": (lambda: nn.RMSNorm(scale_init=init.normal(0.5)), (2, 4)),
    "Dense": (lambda: nn.Dense(3, kernel_init=init.he_uniform(), bias_init=init.normal(0.1)), (2, 5)),
    "Conv": (lambda: nn.Conv(3, (2, 2), kernel_init=init.xavier_normal(), bias_init=init.uniform()), (1, 3, 3, 2)),
    "Embed": (lambda: nn.Embed(4, 3, embedding_init=init.normal(0.2)), (2,)),
}


def initial_fields_cases():
    for name, (make, shape) in LAYERS.items():
        x = jnp.asarray(random_numbers(f"initial_fields:{name}", shape))
        if name == "Embed":
            x = jnp.array([3, 0], jnp.int32)
        key = random.key(11)
        module = Caller(lambda x, make=make: make()(x))
        variables = module.init(key, x)
        output, updates = module.apply(variables, x, mutable=["batch_stats"])
        yield {
            "name": name,
            "key": key_words(key),
            "x": array(x),
            "variables": nested(variables),
            "output": array(output),
            "updates": nested(dict(updates)),
        }
