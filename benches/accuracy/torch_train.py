"""Train what a wgrad run trained, in PyTorch, by the run's own settings, and print test accuracy after each epoch.

    python torch_train.py RUN [--init FILE.safetensors] [--seed N] [--threads N]

RUN is a run's folder, or its run.toml: model, data, mean and deviation, batch, epochs, optimizer, schedule, label smoothing
and augmentation are read there. FILE holds the weights to start from (`wgrad models init RUN/run.toml --out FILE`), so that
both begin at the same point; without it they are drawn here, by the same rule. Samples come in another order (but with `shuffle
= false`), and augmentation and dropout draw other numbers, as with another seed. Pictures are changed after they are normalized, as wgrad does:
what comes in at the edges is the mean colour.

Needs torch, numpy and safetensors; Python 3.11 for tomllib.
"""

import argparse
import math
import sys
import time
import tomllib
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from torch_data import load
from torch_model import Model


def augmented(x, settings):
    """The normalized pictures x, each changed as the table [augment] says, in wgrad's order."""
    known = {"flip", "flip_vertical", "rotate", "crop", "brightness", "contrast"}
    asked = {key for key, value in settings.items() if value}
    if not asked <= known:
        sys.exit(f"not here yet: augment.{', augment.'.join(sorted(asked - known))}")
    n = len(x)
    for key, axis in (("flip", 3), ("flip_vertical", 2)):
        if settings.get(key):
            x = torch.where((torch.rand(n) < 0.5).view(n, 1, 1, 1), x.flip(axis), x)
    if degrees := settings.get("rotate", 0):
        # As wgrad's kernel: the tangent of half the angle is uniform.
        tangent = (2 * torch.rand(n) - 1) * math.tan(math.radians(degrees) / 2)
        angle = 2 * tangent.atan()
        cos, sin, none = angle.cos(), angle.sin(), torch.zeros(n)
        height, width = x.shape[2:]
        matrix = torch.stack([cos, sin * height / width, none, -sin * width / height, cos, none], 1)
        grid = F.affine_grid(matrix.view(n, 2, 3), x.shape, align_corners=False)
        x = F.grid_sample(x, grid, padding_mode="zeros", align_corners=False)
    if pad := settings.get("crop", 0):
        height, width = x.shape[2:]
        x = F.pad(x, (pad, pad, pad, pad))
        rows = (torch.randint(2 * pad + 1, (n, 1)) + torch.arange(height)).view(n, 1, height, 1)
        columns = (torch.randint(2 * pad + 1, (n, 1)) + torch.arange(width)).view(n, 1, 1, width)
        images, channels = torch.arange(n).view(n, 1, 1, 1), torch.arange(x.shape[1]).view(1, -1, 1, 1)
        x = x[images, channels, rows, columns]
    around_zero = lambda most: (2 * torch.rand(n, 1, 1, 1) - 1) * most
    if most := settings.get("contrast", 0):
        x = x + around_zero(most) * x
    if most := settings.get("brightness", 0):
        x = x + around_zero(most)
    return x


def optimizer_of(settings, parameters):
    names = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    options = {key: value for key, value in settings.items() if key not in ("name", "beta1", "beta2")}
    if "beta1" in settings:
        options["betas"] = (settings["beta1"], settings["beta2"])
    return names[settings["name"]](parameters, **options)


def factor_of(schedule, step, steps):
    """The factor of the learning rate at `step`, from 1, of `steps`."""
    name, done = schedule["name"], step - 1
    if name == "constant":
        return 1.0
    if name == "step":
        return schedule.get("factor", 0.1) ** (done // schedule["every_steps"])
    warmup, final = schedule.get("warmup_steps", 0), schedule.get("final_share", 0.0)
    if done < warmup:
        return step / warmup
    progress = min((done - warmup) / max(steps - warmup, 1), 1.0)
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * progress))


@torch.no_grad()
def evaluate(model, x, labels, area):
    """Accuracy, and the area under the curve of two classes."""
    model.eval()
    logits = torch.cat([model(part) for part in x.split(500)])
    model.train()
    text = f"{100 * (logits.argmax(1) == labels).double().mean():.2f}%"
    if area:
        scores = logits[:, 1] - logits[:, 0]
        pairs = scores[labels == 1].view(-1, 1) - scores[labels == 0].view(1, -1)
        text += f"  AUC {((pairs > 0).double() + 0.5 * (pairs == 0)).mean():.4f}"
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--init", type=Path)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    path = arguments.run / "run.toml" if arguments.run.is_dir() else arguments.run
    settings = tomllib.loads(path.read_text())
    torch.manual_seed(settings["seed"] if arguments.seed is None else arguments.seed)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)

    data = settings["data"]
    (train, labels), (test, test_labels) = load(data)
    normal = lambda values: torch.tensor(values).view(1, -1, 1, 1)
    mean, std = normal(settings["fitted"]["mean"]), normal(settings["fitted"]["std"])
    train, test = ((x.float() / 255 - mean) / std for x in (train, test))

    model = Model(settings["model"])
    if arguments.init:
        model.load_state_dict(load_file(arguments.init), strict=True)
    optimizer = optimizer_of(settings["optimizer"], model.parameters())
    base, batch, epochs = settings["optimizer"]["lr"], settings["batch"], settings["epochs"]
    per_epoch, step = math.ceil(len(train) / batch), 0
    steps = min(epochs * per_epoch, settings.get("steps", epochs * per_epoch))
    for epoch in range(math.ceil(steps / per_epoch)):
        start, total, right, seen = time.monotonic(), 0.0, 0, 0
        order = torch.randperm if settings["shuffle"] else torch.arange
        for rows in order(len(train)).split(batch)[: steps - step]:
            step += 1
            seen += len(rows)
            for group in optimizer.param_groups:
                group["lr"] = base * factor_of(settings["schedule"], step, steps)
            logits = model(augmented(train[rows], settings.get("augment", {})))
            loss = F.cross_entropy(logits, labels[rows], label_smoothing=settings["label_smoothing"])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
            right += (logits.argmax(1) == labels[rows]).sum().item()
        seconds = time.monotonic() - start
        shown = evaluate(model, test, test_labels, logits.shape[1] == 2)
        print(
            f"epoch {epoch + 1}/{epochs}  loss {total / seen:.4f}  accuracy {100 * right / seen:.2f}%"
            f"  test accuracy {shown}  {seen / seconds:.0f} samples/s",
            flush=True,
        )


if __name__ == "__main__":
    main()
