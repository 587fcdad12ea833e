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


def training(model, optimizer, x, y, loss):
    tx = optimizer(model.parameters())
    forward = torch.compile(lambda x, y: loss(model(x), y)) if mode == "compile" else lambda x, y: loss(model(x), y)

    def step():
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


images = torch.rand(256, 1, 28, 28).to(memory_format=torch.channels_last)
labels = torch.randint(0, 10, (256,))


def momentum(parameters):
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9)


jobs = {
    "lenet_train": lambda: training(lenet(), momentum, images, labels, nn.functional.cross_entropy),
    "lenet_eval": lambda: evaluation(lenet(), images),
    "wide_train": lambda: training(wide(), momentum, images, labels, nn.functional.cross_entropy),
    "guide_train": lambda: training(
        guide(), lambda p: torch.optim.Adam(p, lr=1e-3), torch.ones(8, 3), torch.ones(8), nn.functional.mse_loss
    ),
}
timing.run(jobs[name](), seconds)
