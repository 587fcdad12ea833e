"""The models of init_params.json and curves.json. Names are given by Flax where none is written."""

import functools

import flax.linen as nn


class MLP(nn.Module):
    """The model of the Flax BatchNorm guide."""

    batch_norm: bool = True

    @nn.compact
    def __call__(self, x, train):
        x = nn.Dense(4)(x)
        if self.batch_norm:
            x = nn.BatchNorm(use_running_average=not train)(x)
        x = nn.relu(x)
        return nn.Dense(1)(x)


class CNN(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        x = nn.Conv(4, (3, 3))(x)
        x = nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)
        x = nn.relu(x)
        x = nn.avg_pool(x, (2, 2), strides=(2, 2))
        x = x.reshape((x.shape[0], -1))
        return nn.Dense(3)(x)


class BNLeNet(nn.Module):
    """LeNet with batch normalisation of the d2l book, as one compact module."""

    @nn.compact
    def __call__(self, x, train):
        def norm(x):
            return nn.sigmoid(nn.BatchNorm(use_running_average=not train, momentum=0.9)(x))

        for features in (6, 16):
            x = norm(nn.Conv(features, (5, 5), padding="SAME")(x))
            x = nn.avg_pool(x, (2, 2), strides=(2, 2))
        x = x.reshape((x.shape[0], -1))
        for features in (120, 84):
            x = norm(nn.Dense(features)(x))
        return nn.Dense(10)(x)


class Block(nn.Module):
    features: int
    rate: float = 0.5

    @nn.compact
    def __call__(self, x, train):
        x = nn.Dense(self.features)(x)
        return nn.Dropout(self.rate, deterministic=not train)(x)


class Nested(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        x = Block(5)(x, train)
        x = Block(4, rate=0.25)(x, train)
        return nn.Dense(2, name="head")(x)


class Shared(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        dense = nn.Dense(4)
        return dense(nn.relu(dense(x)))


class SharedStatistics(nn.Module):
    """One BatchNorm called twice: its statistics move twice in one apply."""

    @nn.compact
    def __call__(self, x, train):
        norm = nn.BatchNorm(use_running_average=not train, momentum=0.5)
        return norm(norm(x) * 3.0 + 1.0)


class Names(nn.Module):
    """Dense_0, a, Dense_1; then Dropout_0, called twice."""

    @nn.compact
    def __call__(self, x, train):
        x = nn.Dense(3)(x)
        x = nn.Dense(3, name="a")(x)
        x = nn.Dense(3)(x)
        dropout = nn.Dropout(0.5, deterministic=not train)
        return dropout(x) + 2.0 * dropout(x)


class SequentialInside(nn.Module):
    """The layers belong to the compact method that makes them: Dense_0, BatchNorm_0, Dense_1."""

    @nn.compact
    def __call__(self, x, train):
        layers = [nn.Dense(4), nn.BatchNorm(use_running_average=not train), nn.relu, nn.Dense(2)]
        return nn.Sequential(layers)(x)


class ResNetBlock(nn.Module):
    features: int
    strides: tuple = (1, 1)

    @nn.compact
    def __call__(self, x, train):
        norm = functools.partial(nn.BatchNorm, use_running_average=not train, momentum=0.9)
        y = nn.Conv(self.features, (3, 3), self.strides, use_bias=False)(x)
        y = nn.relu(norm()(y))
        y = nn.Conv(self.features, (3, 3), use_bias=False)(y)
        y = norm(scale_init=nn.initializers.zeros)(y)
        if x.shape != y.shape:
            x = nn.Conv(self.features, (1, 1), self.strides, use_bias=False, name="conv_proj")(x)
            x = norm(name="norm_proj")(x)
        return nn.relu(x + y)


class ResNet(nn.Module):
    """A residual network in small: a stem, two stages, and the mean over places."""

    @nn.compact
    def __call__(self, x, train):
        x = nn.Conv(4, (3, 3), use_bias=False, name="conv_init")(x)
        x = nn.BatchNorm(use_running_average=not train, momentum=0.9, name="bn_init")(x)
        x = nn.max_pool(nn.relu(x), (3, 3), strides=(2, 2), padding="SAME")
        x = ResNetBlock(4)(x, train)
        x = ResNetBlock(6, (2, 2))(x, train)
        return nn.Dense(3)(x.mean(axis=(1, 2)))


class EncoderBlock(nn.Module):
    """Pre-norm attention and a feed-forward part, each with dropout and a residual."""

    @nn.compact
    def __call__(self, x, train):
        y = nn.LayerNorm()(x)
        y = nn.MultiHeadDotProductAttention(num_heads=2, dropout_rate=0.1, deterministic=not train)(y)
        x = x + nn.Dropout(0.1, deterministic=not train)(y)
        y = nn.LayerNorm()(x)
        y = nn.gelu(nn.Dense(8)(y))
        y = nn.Dropout(0.1, deterministic=not train)(y)
        return x + nn.Dense(x.shape[-1])(y)


class Encoder(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        position = self.param("position", nn.initializers.normal(0.02), (1, *x.shape[1:]))
        x = x + position
        for _ in range(2):
            x = EncoderBlock()(x, train)
        return nn.Dense(2, name="head")(nn.LayerNorm(name="final")(x))


class KeyAt(nn.Module):
    """The count-th key of a stream, drawn in the scope with the given names."""

    names: tuple
    stream: str
    count: int

    @nn.compact
    def __call__(self):
        if self.names:
            return KeyAt(self.names[1:], self.stream, self.count, name=self.names[0])()
        for _ in range(self.count):
            key = self.make_rng(self.stream)
        return key


class ResidualBlock(nn.Module):
    features: int
    strides: int = 1

    @nn.compact
    def __call__(self, x, train):
        def norm(x):
            return nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)

        strides = (self.strides, self.strides)
        y = nn.relu(norm(nn.Conv(self.features, (3, 3), strides, use_bias=False)(x)))
        y = norm(nn.Conv(self.features, (3, 3), use_bias=False)(y))
        if x.shape != y.shape:
            x = norm(nn.Conv(self.features, (1, 1), strides, use_bias=False)(x))
        return nn.relu(x + y)


class FashionResNet(nn.Module):
    """A small residual network (He et al. 2016)."""

    @nn.compact
    def __call__(self, x, train):
        x = nn.Conv(4, (3, 3), (2, 2), use_bias=False)(x)
        x = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(x))
        x = ResidualBlock(4)(x, train)
        x = ResidualBlock(8, strides=2)(x, train)
        return nn.Dense(10)(x.mean(axis=(1, 2)))


class DropoutMLP(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        x = x.reshape((x.shape[0], -1))
        x = nn.relu(nn.Dense(32)(x))
        x = nn.Dropout(0.5, deterministic=not train)(x)
        return nn.Dense(10)(x)
