"""jobs.cpp in Flax: `jax_jobs.py NAME THREADS SECONDS`. XLA takes the threads that the process may run on."""
import os
import sys

name, threads, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])

import flax.linen as nn  # noqa: E402: after the affinity is set
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402
import timing  # noqa: E402


class LeNet(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        def norm(x):
            return nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)

        x = nn.avg_pool(nn.sigmoid(norm(nn.Conv(6, (5, 5))(x))), (2, 2), (2, 2))
        x = nn.avg_pool(nn.sigmoid(norm(nn.Conv(16, (5, 5))(x))), (2, 2), (2, 2))
        x = x.reshape((x.shape[0], -1))
        x = nn.sigmoid(norm(nn.Dense(120)(x)))
        x = nn.sigmoid(norm(nn.Dense(84)(x)))
        return nn.Dense(10)(x)


class Wide(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        x = x.reshape((x.shape[0], -1))
        for _ in range(2):
            x = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(nn.Dense(1024)(x)))
        return nn.Dense(10)(x)


class Guide(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        x = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(nn.Dense(4)(x)))
        return nn.Dense(1)(x)


class ResNet(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        def conv(x, features, taps, stride):
            x = nn.Conv(features, (taps, taps), (stride, stride), use_bias=False)(x)
            return nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)

        x = nn.relu(conv(x, 64, 3, 1))
        for features in (64, 128, 256, 512):
            for first in (True, False):
                stride = 2 if first and features > 64 else 1
                y = conv(nn.relu(conv(x, features, 3, stride)), features, 3, 1)
                x = nn.relu(y + (conv(x, features, 1, stride) if stride > 1 else x))
        return nn.Dense(10)(x.mean((1, 2)))


def classification(logits, labels):
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def regression(outputs, targets):
    return ((outputs[:, 0] - targets) ** 2).mean()


def training(model, tx, x, y, loss):
    variables = model.init(jax.random.key(0), x[:1], train=False)
    state = (variables["params"], variables["batch_stats"], tx.init(variables["params"]))

    def train_step(state, x, y):
        params, batch_stats, opt_state = state

        def loss_fn(params):
            outputs, updates = model.apply(
                {"params": params, "batch_stats": batch_stats}, x, train=True, mutable=["batch_stats"]
            )
            return loss(outputs, y), updates["batch_stats"]

        (value, batch_stats), grads = jax.value_and_grad(loss_fn, has_aux=True)(params)
        updates, opt_state = tx.update(grads, opt_state, params)
        return (optax.apply_updates(params, updates), batch_stats, opt_state), value

    compiled = jax.jit(train_step, donate_argnums=0)

    def step(x=x, y=y):
        nonlocal state
        state, value = compiled(state, x, y)
        value.block_until_ready()

    return step


def evaluation(model, x):
    variables = model.init(jax.random.key(0), x[:1], train=False)
    compiled = jax.jit(lambda variables, x: model.apply(variables, x, train=False))
    return lambda: compiled(variables, x).block_until_ready()


def random_images(count, shape=(28, 28, 1)):
    return (
        jax.random.uniform(jax.random.key(1), (count, *shape)),
        jax.random.randint(jax.random.key(2), (count,), 0, 10),
    )


def shuffled(step):
    """`step` on batches of sixty thousand images of bytes, in another order in every epoch."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (60_000, 28, 28, 1), np.uint8)
    labels = random.integers(0, 10, 60_000, np.int32)
    order = iter(())

    def fed():
        nonlocal order
        batch = next(order, None)
        if batch is None:
            order = iter(np.split(random.permutation(60_000)[: 60_000 // 256 * 256], 60_000 // 256))
            batch = next(order)
        step(images[batch].astype(np.float32) / 255, labels[batch])

    return fed


images, labels = random_images(256)
momentum = optax.sgd(0.1, momentum=0.9)
jobs = {
    "lenet_train": lambda: training(LeNet(), momentum, images, labels, classification),
    "lenet_fed": lambda: shuffled(training(LeNet(), momentum, images, labels, classification)),
    "lenet_eval": lambda: evaluation(LeNet(), images),
    "wide_train": lambda: training(Wide(), momentum, images, labels, classification),
    "guide_train": lambda: training(
        Guide(), optax.adam(1e-3), jnp.ones((8, 3)), jnp.ones((8,)), regression
    ),
    "resnet_train": lambda: training(ResNet(), momentum, *random_images(32, (32, 32, 3)), classification),
    "resnet_train_128": lambda: training(ResNet(), momentum, *random_images(128, (32, 32, 3)), classification),
    "resnet_eval": lambda: evaluation(ResNet(), random_images(32, (32, 32, 3))[0]),
    "resnet_eval_128": lambda: evaluation(ResNet(), random_images(128, (32, 32, 3))[0]),
}
timing.run(jobs[name](), seconds)
