"""Attacks of torchattacks on the network of a run of wgrad, to hold the accuracies beside those of `wgrad attack`.

    python torch_attacks.py RUN --attack pgd --epsilon 0.3 [--steps 40] [--norm linf] [--step-size N] [--samples 1000] [--threads N]

RUN is the folder of a run on IDX files whose model torch_model.py knows. The first images of the test part are attacked, as wgrad does.
An image that is wrong as it is counts as wrong.

Needs torch, torchattacks, numpy and safetensors; Python 3.11 for tomllib.
"""

import argparse
import time
import tomllib
from pathlib import Path

import torch
import torchattacks
from safetensors.torch import load_file
from torch import nn

from torch_data import load
from torch_model import Model


class Normalised(nn.Module):
    """The network of pixels from 0 to 1."""

    def __init__(self, model, mean, std):
        super().__init__()
        self.model = model
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))

    def forward(self, x):
        return self.model((x - self.mean) / self.std)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--attack", choices=["fgsm", "pgd", "deepfool", "square"], default="pgd")
    parser.add_argument("--norm", choices=["linf", "l2"], default="linf")
    parser.add_argument("--epsilon", type=float, required=True)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--step-size", type=float)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--threads", type=int)
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    torch.manual_seed(1)
    settings = tomllib.loads((given.run / "run.toml").read_text())
    model = Model(settings["model"])
    weights = given.run / "best.safetensors"
    weights = load_file(weights if weights.exists() else given.run / "model.safetensors")
    model.load_state_dict({name: weights[name] for name in model.state_dict() if name in weights}, strict=False)
    fitted = settings["fitted"]
    net = Normalised(model, fitted["mean"], fitted["std"]).eval()
    _, (images, labels) = load(settings["data"])
    images, labels = images[: given.samples].float() / 255, labels[: given.samples]
    size = given.step_size or 2.5 * given.epsilon / given.steps
    attack = {
        ("fgsm", "linf"): lambda: torchattacks.FGSM(net, eps=given.epsilon),
        ("pgd", "linf"): lambda: torchattacks.PGD(net, eps=given.epsilon, alpha=size, steps=given.steps),
        ("pgd", "l2"): lambda: torchattacks.PGDL2(net, eps=given.epsilon, alpha=size, steps=given.steps),
        ("deepfool", "l2"): lambda: torchattacks.DeepFool(net, steps=given.steps),
        ("square", "linf"): lambda: torchattacks.Square(net, eps=given.epsilon, n_queries=given.steps),
    }[given.attack, given.norm]()
    began, clean, robust = time.monotonic(), 0, 0
    for x, y in zip(images.split(250), labels.split(250)):
        right = net(x).argmax(1) == y
        x, y = x[right], y[right]
        changed = attack(x, y)
        if given.attack == "deepfool":
            far = (changed - x).flatten(1).norm(dim=1) > given.epsilon
            changed = torch.where(far.view(-1, 1, 1, 1), x, changed)
        clean += right.sum().item()
        robust += (net(changed).argmax(1) == y).sum().item()
    count = len(images)
    print(f"{given.attack}, {given.norm} {given.epsilon}: {clean / count:.2%} clean, {robust / count:.2%} under attack, {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
