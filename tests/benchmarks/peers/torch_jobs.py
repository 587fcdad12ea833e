"""jobs.cpp in PyTorch: `torch_jobs.py NAME THREADS SECONDS eager|compile`. Images are channels-last."""
import sys

import timing
import torch
from torch import nn

name, threads, seconds, mode = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
torch.set_num_threads(threads)
torch.manual_seed(0)


def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.BatchNorm2d(6), nn.Sigmoid(), nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5, padding=2), nn.BatchNorm2d(16), nn.Sigmoid(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(784, 120), nn.BatchNorm1d(120), nn.Sigmoid(),
        nn.Linear(120, 84), nn.BatchNorm1d(84), nn.Sigmoid(), nn.Linear(84, 10),
    ).to(memory_format=torch.channels_last)


def wide():
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 1024), nn.BatchNorm1d(1024), nn.ReLU(),
        nn.Linear(1024, 1024), nn.BatchNorm1d(1024), nn.ReLU(), nn.Linear(1024, 10),
    )


def guide():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 1), nn.Flatten(0))


def convolution(channels, features, taps, stride):
    return nn.Sequential(
        nn.Conv2d(channels, features, taps, stride, padding=taps // 2, bias=False), nn.BatchNorm2d(features)
    )


class Block(nn.Module):
    def __init__(self, channels, features, stride):
        super().__init__()
        self.first = convolution(channels, features, 3, stride)
        self.second = convolution(features, features, 3, 1)
        self.skip = convolution(channels, features, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x):
        return (self.second(self.first(x).relu()) + self.skip(x)).relu()


def resnet():
    blocks = [
        Block(channels, features, stride)
        for before, features in ((64, 64), (64, 128), (128, 256), (256, 512))
        for channels, stride in ((before, 1 if before == features else 2), (features, 1))
    ]
    return nn.Sequential(
        convolution(3, 64, 3, 1), nn.ReLU(), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10)
    ).to(memory_format=torch.channels_last)


def training(model, optimizer, x, y, loss):
    tx = optimizer(model.parameters())
    forward = torch.compile(lambda x, y: loss(model(x), y)) if mode == "compile" else lambda x, y: loss(model(x), y)

    def step(x=x, y=y):
        tx.zero_grad(set_to_none=True)
        forward(x, y).backward()
        tx.step()

    return step


def evaluation(model, x):
    model.eval()
    forward = torch.compile(model) if mode == "compile" else model

    def step():
        with torch.inference_mode():
            forward(x)

    return step


def random_images(count, *shape):
    return torch.rand(count, *shape).to(memory_format=torch.channels_last), torch.randint(0, 10, (count,))


def shuffled(step):
    """`step` on batches of sixty thousand images of bytes, in another order in every epoch."""
    images = torch.randint(0, 256, (60_000, 1, 28, 28), dtype=torch.uint8)
    labels = torch.randint(0, 10, (60_000,))
    order = iter(())

    def fed():
        nonlocal order
        batch = next(order, None)
        if batch is None:
            order = iter(torch.randperm(60_000)[: 60_000 // 256 * 256].split(256))
            batch = next(order)
        step(images[batch].to(memory_format=torch.channels_last) / 255, labels[batch])

    return fed


images, labels = random_images(256, 1, 28, 28)


def momentum(parameters):
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9)


jobs = {
    "lenet_train": lambda: training(lenet(), momentum, images, labels, nn.functional.cross_entropy),
    "lenet_fed": lambda: shuffled(training(lenet(), momentum, images, labels, nn.functional.cross_entropy)),
    "lenet_eval": lambda: evaluation(lenet(), images),
    "wide_train": lambda: training(wide(), momentum, images, labels, nn.functional.cross_entropy),
    "guide_train": lambda: training(
        guide(), lambda p: torch.optim.Adam(p, lr=1e-3), torch.ones(8, 3), torch.ones(8), nn.functional.mse_loss
    ),
    "resnet_train": lambda: training(resnet(), momentum, *random_images(32, 3, 32, 32), nn.functional.cross_entropy),
    "resnet_train_128": lambda: training(
        resnet(), momentum, *random_images(128, 3, 32, 32), nn.functional.cross_entropy
    ),
    "resnet_eval": lambda: evaluation(resnet(), random_images(32, 3, 32, 32)[0]),
    "resnet_eval_128": lambda: evaluation(resnet(), random_images(128, 3, 32, 32)[0]),
}
timing.run(jobs[name](), seconds)
