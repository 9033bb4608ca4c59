"""Train the autoencoder of a wgrad run in PyTorch, by the run's own settings, and rank what was left out of training.

    wgrad models init RUN/run.toml --out FILE
    python torch_autoencoder.py RUN --init FILE [--seed N] [--threads N]

RUN is the folder of a run of the built-in model `autoencoder` on IDX files: data, `data.train_without`, mean and deviation, batch,
steps, Adam's learning rate, schedule, noise and mask are read in its run.toml. FILE holds the weights to start from. Images come
in another order and noise is other noise, as with another seed. Printed is the mean squared error of the normalized test images, and the
area under the curve (AUC) of finding the classes that were left out by the error of each.

    python torch_autoencoder.py --auc errors.jsonl 9

tells the same area from what `wgrad eval RUN --outputs errors.jsonl` wrote.

Needs torch, numpy and safetensors; Python 3.11 for tomllib.
"""

import argparse
import json
import sys
import tomllib
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

from torch_data import load
from torch_train import factor_of, optimizer_of


class Autoencoder(nn.Module):
    """assets/models/autoencoder.toml"""

    def __init__(self):
        super().__init__()
        half = {"kernel_size": 3, "stride": 2, "padding": 1}
        self.encode1 = nn.Conv2d(1, 16, **half)
        self.encode2 = nn.Conv2d(16, 32, **half)
        self.code = nn.Conv2d(32, 32, 7)
        self.decode1 = nn.ConvTranspose2d(32, 32, 7)
        self.decode2 = nn.ConvTranspose2d(32, 16, output_padding=1, **half)
        self.decode3 = nn.ConvTranspose2d(16, 1, output_padding=1, **half)

    def forward(self, x):
        x = self.code(self.encode2(self.encode1(x).relu()).relu())
        return self.decode3(self.decode2(self.decode1(x).relu()).relu())


def area(errors, found):
    """The probability that an error of those to find is above one of the others, ties counting half."""
    order = torch.argsort(errors)
    sorted_errors = errors[order]
    ranks = (
        torch.searchsorted(sorted_errors, errors, right=False) + torch.searchsorted(sorted_errors, errors, right=True) + 1
    ).double() / 2
    count, others = found.sum().item(), (~found).sum().item()
    return (ranks[found].sum().item() - count * (count + 1) / 2) / (count * others)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, nargs="?")
    parser.add_argument("--init", type=Path)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--auc", nargs=2, metavar=("FILE", "CLASS"))
    arguments = parser.parse_args()
    if arguments.auc:
        file, name = arguments.auc
        lines = [json.loads(line) for line in Path(file).read_text().splitlines()]
        errors = torch.tensor([line["mse"] for line in lines], dtype=torch.float64)
        found = torch.tensor([line["label"] == name for line in lines])
        print(f"{len(lines)} samples  mse {errors.mean():.4f}  AUC of {name} {area(errors, found):.4f}")
        return
    path = arguments.run / "run.toml" if arguments.run.is_dir() else arguments.run
    settings = tomllib.loads(path.read_text())
    if settings["model"]["name"] != "autoencoder":
        sys.exit("this is the built-in model autoencoder in PyTorch; the run has another")
    torch.manual_seed(settings["seed"] if arguments.seed is None else arguments.seed)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)

    data, fitted = settings["data"], settings["fitted"]
    (train, labels), (test, test_labels) = load(data)
    left_out = torch.tensor([fitted["classes"].index(name) for name in data.get("train_without", [])])
    train = train[~torch.isin(labels, left_out)]
    mean, std = fitted["mean"][0], fitted["std"][0]
    train, test = ((x.float() / 255 - mean) / std for x in (train, test))
    noise, mask = (settings["task"].get(key, 0.0) for key in ("noise", "mask"))

    model = Autoencoder()
    if arguments.init:
        model.load_state_dict(load_file(arguments.init), strict=True)
    optimizer = optimizer_of(settings["optimizer"], model.parameters())
    base, batch = settings["optimizer"]["lr"], settings["batch"]
    steps = settings.get("steps", settings["epochs"] * -(-len(train) // batch))
    every = settings.get("steps_per_epoch", steps)
    rows, total = [], 0.0
    for step in range(1, steps + 1):
        if not rows:
            rows = list(torch.randperm(len(train)).split(batch))
        for group in optimizer.param_groups:
            group["lr"] = base * factor_of(settings["schedule"], step, steps)
        x = train[rows.pop()]
        seen = x + noise * torch.randn_like(x) if noise else x
        seen = seen * (torch.rand_like(x) >= mask) if mask else seen
        loss = F.mse_loss(model(seen), x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
        if step % every == 0 or step == steps:
            with torch.no_grad():
                errors = torch.cat([(model(x) - x).square().mean((1, 2, 3)) for x in test.split(500)])
            found = torch.isin(test_labels, left_out)
            text = f"  AUC {area(errors.double(), found):.4f}" if found.any() else ""
            print(f"step {step}/{steps}  training mse {total / every:.4f}  test mse {errors.mean():.4f}{text}", flush=True)
            total = 0.0


if __name__ == "__main__":
    main()
