"""Private training in PyTorch with Opacus, by the settings of a run of examples/private.toml, to hold accuracy and speed side by side.

    python torch_private.py RUN [--epochs N] [--plain]

RUN is the folder of such a run on IDX files: batch, epochs, optimizer, clipping norm and noise are read from its run.toml. Samples are
drawn by Poisson sampling there, too. With --plain, the same network is trained without privacy, for its speed alone.

Needs torch, numpy and opacus; Python 3.11 for tomllib.
"""

import argparse
import math
import time
import tomllib
from pathlib import Path

import torch
import torch.nn.functional as F
from opacus import PrivacyEngine
from torch import nn

from torch_data import load


class PrivateCnn(nn.Module):
    """The model of examples/private.toml."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 16, 8, 2), nn.Conv2d(16, 32, 4, 2)
        self.dense1, self.dense2 = nn.Linear(512, 32), nn.Linear(32, 10)

    def forward(self, x):
        x = F.max_pool2d(self.conv1(F.pad(x, (3, 4, 3, 4))).tanh(), 2, 1)
        x = F.max_pool2d(self.conv2(x).tanh(), 2, 1)
        return self.dense2(self.dense1(x.flatten(1)).tanh())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--plain", action="store_true")
    given = parser.parse_args()
    settings = tomllib.loads((given.run / "run.toml").read_text())
    torch.manual_seed(settings["seed"])
    fitted, private = settings["fitted"], settings["privacy"]

    def part(images_and_labels):
        images, labels = images_and_labels
        return (images.float() / 255 - fitted["mean"][0]) / fitted["std"][0], labels

    (x, y), (test_x, test_y) = map(part, load(settings["data"]))
    model, optimizer = PrivateCnn(), settings["optimizer"]
    optimizer = torch.optim.SGD(model.parameters(), optimizer["lr"], optimizer.get("momentum", 0))
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), settings["batch"], shuffle=True)
    engine = PrivacyEngine()
    if not given.plain:
        model, optimizer, loader = engine.make_private(
            module=model,
            optimizer=optimizer,
            data_loader=loader,
            noise_multiplier=private["noise"],
            max_grad_norm=private["clip"],
        )
    steps = settings["epochs"] * len(loader)
    cosine = settings["schedule"]["name"] == "cosine"
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: 0.5 * (1 + math.cos(math.pi * step / steps)) if cosine else 1.0
    )
    for epoch in range(1, (given.epochs or settings["epochs"]) + 1):
        began = time.monotonic()
        model.train()
        for images, labels in loader:
            optimizer.zero_grad()
            if len(labels) > 0:
                F.cross_entropy(model(images), labels).backward()
                optimizer.step()
            schedule.step()
        seconds = time.monotonic() - began
        model.eval()
        with torch.no_grad():
            right = (model(test_x).argmax(1) == test_y).float().mean().item()
        spent = "" if given.plain else f"  epsilon {engine.get_epsilon(private['delta']):.3f}"
        print(f"epoch {epoch}  test accuracy {right:.2%}  {len(x) / seconds:.0f} samples/s{spent}", flush=True)


if __name__ == "__main__":
    main()
