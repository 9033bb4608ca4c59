"""Train the diffusion model of a wgrad run in PyTorch, by the run's own settings, and measure how far its images are from real ones.

    python torch_diffusion.py RUN --classifier CLASSIFIER [--seed N] [--threads N] [--count 2000] [--steps 50] [--images FOLDER]

RUN is the folder of a run of the built-in model `diffusion-unet` on IDX files: data, batch, epochs, Adam's learning rate, schedule,
moving average and `task.times` are read in its run.toml. CLASSIFIER is the folder of a run of a classifier of the same images, whose
last dense layer takes the features. Weights are drawn here by the same rule, PyTorch's own. Printed are the mean squared error of the
noise after each epoch, and at the end the Fréchet distance of `count` images, drawn in `steps` steps, from the test images. With
--images, the images are those of the folder, such as `wgrad generate` writes, and nothing is trained.

Needs torch, numpy, scipy, pillow and safetensors; Python 3.11 for tomllib.
"""

import argparse
import math
import sys
import tomllib
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file
from scipy.linalg import sqrtm
from torch import nn

from torch_data import load
from torch_model import Model
from torch_train import factor_of, optimizer_of


class Conv(nn.Module):
    def __init__(self, taken, filters):
        super().__init__()
        self.conv = nn.Conv2d(taken, filters, 3, padding=1)
        self.norm = nn.GroupNorm(8, filters)

    def forward(self, x):
        return F.silu(self.norm(self.conv(x)))


class Level(nn.Module):
    """Two convolutions, with features of the time between them."""

    def __init__(self, taken, filters):
        super().__init__()
        self.a, self.t, self.b = Conv(taken, filters), nn.Linear(64, filters), Conv(filters, filters)

    def forward(self, x, embedded):
        return self.b(self.a(x) + self.t(embedded)[:, :, None, None])


class Unet(nn.Module):
    """assets/models/diffusion-unet.toml"""

    def __init__(self):
        super().__init__()
        self.embedded = nn.Linear(64, 64)
        self.down1, self.down2, self.bottom = Level(1, 16), Level(16, 32), Level(32, 64)
        self.up2, self.merge2 = nn.ConvTranspose2d(64, 32, 2, 2), Level(64, 32)
        self.up1, self.merge1 = nn.ConvTranspose2d(32, 16, 2, 2), Level(32, 16)
        self.noise = nn.Conv2d(16, 1, 1)

    def forward(self, x, features):
        embedded = F.silu(self.embedded(features))
        one = self.down1(x, embedded)
        two = self.down2(F.max_pool2d(one, 2), embedded)
        x = self.bottom(F.max_pool2d(two, 2), embedded)
        x = self.merge2(torch.cat([two, self.up2(x)], 1), embedded)
        x = self.merge1(torch.cat([one, self.up1(x)], 1), embedded)
        return self.noise(x)


def cosine(times):
    """The share of the variance that is the image's at each time (Nichol and Dhariwal 2021)."""

    def left(time):
        return math.cos((time / times + 0.008) / 1.008 * math.pi / 2) ** 2

    variances = [min(1 - left(t + 1) / left(t), 0.999) for t in range(times)]
    return np.cumprod([1 - v for v in variances])


def sinusoids(times, size=64):
    t, i = np.arange(times)[:, None], np.arange(size)[None]
    angle = t * 10000.0 ** (-(i // 2 * 2) / size)
    return torch.tensor(np.where(i % 2 == 0, np.sin(angle), np.cos(angle)), dtype=torch.float32)


@torch.no_grad()
def draw(model, shares, features, count, steps):
    """Images from 0 to 1, by DDIM (Song, Meng and Ermon 2021)."""
    times = len(shares)
    places = [-(-times * (steps - step) // steps) - 1 for step in range(steps)]
    drawn = []
    for part in torch.zeros(count).split(250):
        x = torch.randn(len(part), 1, 28, 28)
        for at, time in enumerate(places):
            signal, noise = math.sqrt(shares[time]), math.sqrt(1 - shares[time])
            after = shares[places[at + 1]] if at + 1 < steps else 1.0
            given = model(x, features[time].expand(len(x), 64))
            image = ((x - given * noise) / signal).clamp(-1, 1)
            x = image * math.sqrt(after) + (x - image * signal) / noise * math.sqrt(1 - after)
        drawn.append(x / 2 + 0.5)
    # As bytes, which is what files hold.
    return (torch.cat(drawn).clamp(0, 1) * 255).round() / 255


class Features:
    """What the last dense layer of a classifier takes."""

    def __init__(self, folder):
        settings = tomllib.loads((folder / "run.toml").read_text())
        fitted = settings["fitted"]
        self.mean, self.std = fitted["mean"][0], fitted["std"][0]
        spec = settings["model"] | {"classes": 10}
        self.model = Model(spec).eval()
        best = folder / "best.safetensors"
        weights = load_file(best if best.exists() else folder / "model.safetensors")
        self.model.load_state_dict(weights)
        head = [name for name, _, layer in self.model.layers if layer["type"] == "dense"][-1]
        self.model.get_submodule(head).register_forward_pre_hook(self.keep)

    def keep(self, _, taken):
        self.last = taken[0]

    @torch.no_grad()
    def of(self, images):
        rows = []
        for part in images.split(500):
            self.model((part - self.mean) / self.std)
            rows.append(self.last.double())
        return torch.cat(rows).numpy()


def distance(a, b):
    """The Fréchet distance of the normal distributions with the moments of two sets of features (Heusel et al. 2017)."""
    one, two = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    apart = ((a.mean(0) - b.mean(0)) ** 2).sum()
    return apart + np.trace(one + two - 2 * sqrtm(one @ two).real)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--classifier", type=Path, required=True)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    settings = tomllib.loads((arguments.run / "run.toml").read_text())
    if settings["model"]["name"] != "diffusion-unet":
        sys.exit("this is the built-in model diffusion-unet in PyTorch; the run has another")
    torch.manual_seed(settings["seed"] if arguments.seed is None else arguments.seed)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    (train, _), (test, _) = load(settings["data"])
    features = Features(arguments.classifier)
    real = features.of(test.float() / 255)
    if arguments.images:
        files = sorted(arguments.images.glob("sample-*.png"))
        images = torch.stack([torch.from_numpy(np.array(Image.open(file).convert("L")))[None] for file in files])
        print(f"Fréchet distance of {len(files)} images: {distance(features.of(images.float() / 255), real):.2f}")
        return

    times = settings["task"].get("times", 1000)
    shares, table = cosine(times), sinusoids(times)
    signals = torch.tensor(np.sqrt(shares), dtype=torch.float32)
    noises = torch.tensor(np.sqrt(1 - shares), dtype=torch.float32)
    train, test = (x.float() / 127.5 - 1 for x in (train, test))
    model, kept = Unet(), Unet()
    kept.load_state_dict(model.state_dict())
    decay = settings.get("average", {}).get("decay", 0.0)
    optimizer = optimizer_of(settings["optimizer"], model.parameters())
    base, batch, epochs = settings["optimizer"]["lr"], settings["batch"], settings["epochs"]
    each, step = -(-len(train) // batch), 0

    def error(model, x):
        t = torch.randint(times, (len(x),))
        noise = torch.randn_like(x)
        seen = x * signals[t].view(-1, 1, 1, 1) + noise * noises[t].view(-1, 1, 1, 1)
        return F.mse_loss(model(seen, table[t]), noise)

    for epoch in range(epochs):
        for rows in torch.randperm(len(train)).split(batch):
            step += 1
            for group in optimizer.param_groups:
                group["lr"] = base * factor_of(settings["schedule"], step, epochs * each)
            loss = error(model, train[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            share = min(decay, (1 + step) / (10 + step))
            with torch.no_grad():
                for mean, value in zip(kept.parameters(), model.parameters()):
                    mean.lerp_(value, 1 - share)
        with torch.no_grad():
            errors = [error(kept, x) * len(x) for x in test.split(500)]
        print(f"epoch {epoch + 1}/{epochs}  test mse {sum(errors) / len(test):.5f}", flush=True)
    drawn = draw(kept, shares, table, arguments.count, arguments.steps)
    print(f"Fréchet distance of {arguments.count} images: {distance(features.of(drawn), real):.2f}")


if __name__ == "__main__":
    main()
