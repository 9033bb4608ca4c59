"""Train the segmentation model of a wgrad run in PyTorch, by the run's own settings.

    wgrad models init RUN/run.toml --out FILE
    python torch_segmentation.py RUN --init FILE [--seed N] [--threads N]

RUN is the folder of a run on a folder with `image/` and `mask/` or `label/`: size, parts, values of the masks, mean and
deviation, batch, epochs, optimizer, schedule, loss and flips are read in its run.toml. FILE holds the weights to start from.
Pictures come in another order and are mirrored by other random numbers, as with another seed. Printed after each epoch are the
loss, the mean IoU and the share of pixels that are classified right, both of the test part, over all its pixels at once.

Needs torch, numpy, Pillow and safetensors; Python 3.11 for tomllib.
"""

import argparse
import sys
import tomllib
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file

from torch_model import Model
from torch_train import factor_of, optimizer_of


def load(settings, values):
    """Pictures `[N, 1, H, W]` in [0, 1] and classes `[N, H, W]` of the training and the test part."""
    source = Path(settings["source"])
    masks = next(source / name for name in ("mask", "masks", "label", "labels") if (source / name).is_dir())
    height, width = settings["size"]
    pictures, classes = [], []
    for path in sorted((source / "image").iterdir(), key=lambda path: int(path.stem)):
        picture = Image.open(path).convert("L").resize((width, height), Image.Resampling.BILINEAR)
        mask = Image.open(masks / path.name).resize((width, height), Image.Resampling.NEAREST)
        pictures.append(torch.from_numpy(np.asarray(picture).copy()))
        classes.append(torch.from_numpy(np.searchsorted(values, np.asarray(mask)).astype(np.int64)))
    pictures, classes = torch.stack(pictures)[:, None].float() / 255, torch.stack(classes)
    train, validation, test = settings["parts"]
    rest = train + validation
    return (pictures[:train], classes[:train]), (pictures[rest : rest + test], classes[rest : rest + test])


def mirrored(x, mask, settings):
    """Pictures and masks, mirrored alike as the table [augment] says."""
    asked = {key for key, value in settings.items() if value}
    if not asked <= {"flip", "flip_vertical"}:
        sys.exit(f"not here yet: augment.{', augment.'.join(sorted(asked - {'flip', 'flip_vertical'}))}")
    for key, axis in (("flip", 3), ("flip_vertical", 2)):
        if settings.get(key):
            chosen = torch.rand(len(x)) < 0.5
            x = torch.where(chosen.view(-1, 1, 1, 1), x.flip(axis), x)
            mask = torch.where(chosen.view(-1, 1, 1), mask.flip(axis - 1), mask)
    return x, mask


def loss_of(name, logits, mask):
    """The mean over the pixels, and the Dice loss over all pixels of the batch, as src/tasks/segmentation.rs has them."""
    total = 0.0
    if "cross_entropy" in name:
        total = total + F.cross_entropy(logits, mask)
    if "dice" in name:
        wanted = F.one_hot(mask, logits.shape[1]).permute(0, 3, 1, 2)
        predicted = logits.softmax(1)
        both, either = ((predicted * wanted).sum((0, 2, 3)), (predicted + wanted).sum((0, 2, 3)))
        total = total + 1 - ((2 * both + 1) / (either + 1)).mean()
    return total


@torch.no_grad()
def evaluate(model, x, mask):
    """IoU of each class, and the share of pixels that are classified right."""
    model.eval()
    predicted = torch.cat([model(part) for part in x.split(6)]).argmax(1)
    model.train()
    classes = range(int(mask.max()) + 1)
    iou = [((predicted == c) & (mask == c)).sum() / ((predicted == c) | (mask == c)).sum() for c in classes]
    return torch.stack(iou), (predicted == mask).double().mean()


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

    fitted = settings["fitted"]
    (train, masks), (test, test_masks) = load(settings["data"], fitted["mask_values"])
    mean, std = fitted["mean"][0], fitted["std"][0]
    train, test = ((x - mean) / std for x in (train, test))

    model = Model(settings["model"])
    if arguments.init:
        missing, unused = model.load_state_dict(load_file(arguments.init), strict=False)
        missing = [name for name in missing if not name.endswith("num_batches_tracked")]
        if missing or unused:
            sys.exit(f"{arguments.init} lacks {missing} and has {unused} besides")
    optimizer = optimizer_of(settings["optimizer"], model.parameters())
    base, batch, epochs = settings["optimizer"]["lr"], settings["batch"], settings["epochs"]
    name = settings["task"].get("loss", "cross_entropy")
    steps, step = epochs * -(-len(train) // batch), 0
    best = (0.0, 0)
    for epoch in range(1, epochs + 1):
        total = 0.0
        for rows in torch.randperm(len(train)).split(batch):
            step += 1
            for group in optimizer.param_groups:
                group["lr"] = base * factor_of(settings["schedule"], step, steps)
            x, mask = mirrored(train[rows], masks[rows], settings.get("augment", {}))
            loss = loss_of(name, model(x), mask)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        iou, right = evaluate(model, test, test_masks)
        best = max(best, (iou.mean().item(), epoch))
        each = ", ".join(f"{100 * value:.2f}%" for value in iou)
        print(
            f"epoch {epoch}/{epochs}  loss {total / len(train):.4f}  mean IoU {100 * iou.mean():.2f}% ({each})"
            f"  pixel accuracy {100 * right:.2f}%",
            flush=True,
        )
    print(f"best mean IoU {100 * best[0]:.2f}%, epoch {best[1]}")


if __name__ == "__main__":
    main()
