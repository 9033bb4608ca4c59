"""Train the DCGAN of a wgrad run in PyTorch, by the run's own settings, and draw pictures; or judge drawn digits.

    python torch_gan.py RUN --out FOLDER [--count 1000] [--seed N] [--threads N]

RUN is the folder of a run of the built-in models `dcgan-generator` and `dcgan-discriminator` on MNIST's IDX files: batch, steps,
optimizers, latent and label of real pictures are read in its run.toml. Weights are drawn here by the same rule (normal, 0.02).
FOLDER gets 0.png and so on, as `wgrad generate` writes them.

    wgrad generate RUN --count 1000 --out FOLDER --seed 1
    wgrad predict CLASSIFIER FOLDER --json --top 10 > judged.jsonl
    python torch_gan.py --judge judged.jsonl

prints what a classifier of MNIST says of drawn digits: the mean of its confidence, the share of pictures that it is surer than 0.9
of, and how the classes are balanced (the entropy of their shares over that of equal ones, 1 at best).

Needs torch, numpy and Pillow; Python 3.11 for tomllib.
"""

import argparse
import json
import math
import sys
import tomllib
from collections import Counter
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from torch_data import load
from torch_train import optimizer_of


class Generator(nn.Module):
    """assets/models/dcgan-generator.toml"""

    def __init__(self, latent):
        super().__init__()
        self.project = nn.Linear(latent, 3136, bias=False)
        self.norm1 = nn.BatchNorm2d(64)
        self.conv1 = nn.ConvTranspose2d(64, 32, 4, 2, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(32)
        self.conv2 = nn.ConvTranspose2d(32, 1, 4, 2, 1)

    def forward(self, noise):
        x = self.norm1(self.project(noise).view(-1, 64, 7, 7)).relu()
        return self.conv2(self.norm2(self.conv1(x)).relu()).tanh()


class Discriminator(nn.Module):
    """assets/models/dcgan-discriminator.toml"""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 4, 2, 1)
        self.conv2 = nn.Conv2d(32, 64, 4, 2, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(64)
        self.logit = nn.Linear(3136, 1)

    def forward(self, x):
        x = F.leaky_relu(self.norm2(self.conv2(F.leaky_relu(self.conv1(x), 0.2))), 0.2)
        return self.logit(x.flatten(1))[:, 0]


def start(module):
    if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def judge(path):
    lines = [json.loads(line) for line in Path(path).read_text().splitlines()]
    best = [max(line["top"], key=lambda entry: entry["probability"]) for line in lines]
    sure = [entry["probability"] for entry in best]
    shares = Counter(entry["class"] for entry in best)
    entropy = -sum(n / len(best) * math.log(n / len(best)) for n in shares.values()) / math.log(10)
    print(
        f"{len(best)} pictures  confidence {sum(sure) / len(sure):.4f}  above 0.9 {sum(s > 0.9 for s in sure) / len(sure):.1%}"
        f"  balance {entropy:.4f}  classes {' '.join(f'{name}:{shares[name]}' for name in sorted(shares))}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, nargs="?")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--judge", metavar="FILE")
    arguments = parser.parse_args()
    if arguments.judge:
        return judge(arguments.judge)
    if not arguments.run or not arguments.out:
        sys.exit("name a run and --out, or --judge with a file of predictions")
    path = arguments.run / "run.toml" if arguments.run.is_dir() else arguments.run
    settings = tomllib.loads(path.read_text())
    torch.manual_seed(settings["seed"] if arguments.seed is None else arguments.seed)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)

    (train, _), _ = load(settings["data"])
    mean, std = settings["fitted"]["mean"][0], settings["fitted"]["std"][0]
    latent, real_label = settings["task"].get("latent", 64), settings["task"].get("real_label", 1.0)
    generator, discriminator = Generator(latent).apply(start), Discriminator().apply(start)
    optimizers = settings.get("optimizers", {})
    of = lambda name, model: optimizer_of(optimizers.get(name, settings["optimizer"]), model.parameters())
    optimizer_g, optimizer_d = of("generator", generator), of("discriminator", discriminator)

    batch, per_epoch = settings["batch"], settings.get("steps_per_epoch", -(-len(train) // settings["batch"]))
    loss_of = lambda logits, label: F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))
    for epoch in range(1, settings["epochs"] + 1):
        totals = [0.0, 0.0]
        for rows in torch.randperm(len(train)).split(batch)[:per_epoch]:
            real = (train[rows].float() / 255 - mean) / std
            noise = torch.randn(len(rows), latent)
            fake = generator(noise)
            loss_d = loss_of(discriminator(real), real_label) + loss_of(discriminator(fake.detach()), 0.0)
            optimizer_d.zero_grad()
            loss_d.backward()
            optimizer_d.step()
            loss_g = loss_of(discriminator(fake), 1.0)
            optimizer_g.zero_grad()
            loss_g.backward()
            optimizer_g.step()
            totals = [totals[0] + loss_d.item(), totals[1] + loss_g.item()]
        print(f"epoch {epoch}  loss {totals[0] / per_epoch:.4f}  generator_loss {totals[1] / per_epoch:.4f}", flush=True)

    generator.eval()
    arguments.out.mkdir(parents=True)
    with torch.no_grad():
        for at in range(0, arguments.count, 100):
            for place, picture in enumerate(generator(torch.randn(100, latent))[: arguments.count - at]):
                bytes_ = (255 * (picture[0] * std + mean)).round().clamp(0, 255).byte().numpy()
                Image.fromarray(bytes_).save(arguments.out / f"{at + place}.png")


if __name__ == "__main__":
    main()
