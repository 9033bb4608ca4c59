"""Train the detector of a wgrad run in PyTorch, by the run's own settings, and have pycocotools judge it.

    wgrad models init RUN/run.toml --out FILE
    python torch_detection.py RUN --init FILE [--seed N] [--threads N]

RUN is the folder of a run on data in the layout of Pascal VOC: size, mean and deviation, batch, epochs, optimizer, schedule,
averages and augmentation are read in its run.toml. FILE holds the weights to start from. Pictures come in another order and are
changed by other random numbers, as with another seed. Printed after some epochs are the loss, and after the last one the average
precisions of the test part.

Needs torch, torchvision, numpy, Pillow, pycocotools and safetensors; Python 3.11 for tomllib.
"""

import argparse
import contextlib
import copy
import io
import sys
import tomllib
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from safetensors.torch import load_file
from torchvision.ops import batched_nms, generalized_box_iou_loss, sigmoid_focal_loss

from torch_model import Model
from torch_train import factor_of, optimizer_of


def load(source, names, size, classes):
    """Pictures `[N, 3, H, W]` in [0, 1], padded with grey, and for each the boxes and their classes."""
    height, width = size
    pictures, boxes = [], []
    for name in names:
        picture = Image.open(source / "JPEGImages" / f"{name}.jpg").convert("RGB")
        w, h = picture.size
        scale = min(width / w, height / h)
        inner = (round(w * scale), round(h * scale))
        left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
        whole = Image.new("RGB", (width, height), (128, 128, 128))
        whole.paste(picture.resize(inner, Image.Resampling.BILINEAR), (left, top))
        pictures.append(torch.from_numpy(np.asarray(whole).copy()).permute(2, 0, 1))
        own = []
        for item in ElementTree.parse(source / "Annotations" / f"{name}.xml").getroot().iter("object"):
            x0, y0, x1, y1 = (float(item.find(f"bndbox/{key}").text) for key in ("xmin", "ymin", "xmax", "ymax"))
            if x1 <= x0 or y1 <= y0 or min(x0, y0) < -1.5 or x1 > w + 1.5 or y1 > h + 1.5:
                continue
            own.append([x0 * scale + left, y0 * scale + top, x1 * scale + left, y1 * scale + top, classes.index(item.find("name").text)])
        boxes.append(torch.tensor(own).view(-1, 5))
    return torch.stack(pictures).float() / 255, boxes


def augmented(x, boxes, settings):
    """Pictures and boxes, changed as the table [augment] says."""
    known = {"flip", "flip_vertical", "crop", "brightness", "contrast", "saturation"}
    asked = {key for key, value in settings.items() if value}
    if not asked <= known:
        sys.exit(f"not here yet: augment.{', augment.'.join(sorted(asked - known))}")
    height, width = x.shape[2:]
    pad = settings.get("crop", 0)
    pictures, moved = [], []
    for picture, own in zip(x, boxes):
        own = own.clone()
        if settings.get("flip") and torch.rand(()) < 0.5:
            picture = picture.flip(2)
            own[:, [0, 2]] = width - own[:, [2, 0]]
        if settings.get("flip_vertical") and torch.rand(()) < 0.5:
            picture = picture.flip(1)
            own[:, [1, 3]] = height - own[:, [3, 1]]
        if pad:
            down, right = torch.randint(2 * pad + 1, (2,)).tolist()
            picture = F.pad(picture, (pad, pad, pad, pad))[:, down : down + height, right : right + width]
            own[:, [0, 2]] -= right - pad
            own[:, [1, 3]] -= down - pad
            area = (own[:, 2] - own[:, 0]) * (own[:, 3] - own[:, 1])
            own[:, [0, 2]] = own[:, [0, 2]].clamp(0, width)
            own[:, [1, 3]] = own[:, [1, 3]].clamp(0, height)
            own = own[(own[:, 2] - own[:, 0]) * (own[:, 3] - own[:, 1]) >= 0.25 * area]
        shift, contrast, saturation = (
            (2 * torch.rand(()) - 1) * settings.get(key, 0) for key in ("brightness", "contrast", "saturation")
        )
        picture = picture + saturation * (picture - picture.mean(0, keepdim=True))
        pictures.append(picture + contrast * picture + shift)
        moved.append(own)
    return torch.stack(pictures), moved


def levels_of(outputs, height):
    """For each level, its size, stride and the bounds of the largest distance to a side."""
    levels, smallest = [], 0.0
    for classes in outputs[::2]:
        stride = height / classes.shape[2]
        levels.append([classes.shape[2:], stride, smallest, 8 * stride])
        smallest = 8 * stride
    levels[-1][3] = float("inf")
    return levels


def centres_of(size, stride):
    rows, columns = (((torch.arange(n) + 0.5) * stride) for n in size)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], 1)


def assigned(boxes, levels):
    """Distances, class and centre-ness of all places of a picture; the class is -1 without a box."""
    results = []
    for size, stride, smallest, largest in levels:
        centres = centres_of(size, stride)
        target = torch.cat([torch.zeros(len(centres), 4), torch.full((len(centres), 1), -1.0), torch.zeros(len(centres), 1)], 1)
        if len(boxes):
            sides = torch.cat([centres[:, None] - boxes[None, :, :2], boxes[None, :, 2:4] - centres[:, None]], 2)
            off = (centres[:, None] - (boxes[None, :, :2] + boxes[None, :, 2:4]) / 2).abs().amax(2)
            far = sides.amax(2)
            fits = (sides.amin(2) > 0) & (off <= 1.5 * stride) & (far > smallest) & (far <= largest)
            area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
            least, which = torch.where(fits, area[None], torch.inf).min(1)
            found = least < torch.inf
            l, t, r, b = own = sides[torch.arange(len(centres)), which].T
            centre = ((torch.minimum(l, r) / torch.maximum(l, r)) * (torch.minimum(t, b) / torch.maximum(t, b))).clamp(min=0).sqrt()
            target[found] = torch.cat([own.T, boxes[which, 4:5], centre[:, None]], 1)[found]
        results.append(target)
    return torch.cat(results)


def places_of(outputs, levels):
    """Logits of classes, distances in pixels and logits of centre-ness of all places."""
    flat = [x.flatten(2).transpose(1, 2) for x in outputs]
    distances = [x[..., :4].clamp(-8, 8).exp() * level[1] for x, level in zip(flat[1::2], levels)]
    return torch.cat(flat[::2], 1), torch.cat(distances, 1), torch.cat([x[..., 4] for x in flat[1::2]], 1)


def loss_of(outputs, boxes, height):
    levels = levels_of(outputs, height)
    classes, distances, centres = places_of(outputs, levels)
    targets = torch.stack([assigned(own, levels) for own in boxes])
    has_box = targets[..., 4] >= 0
    found = has_box.sum().clamp(min=1)
    wanted = (targets[..., 4:5] == torch.arange(classes.shape[2])).float()
    of_classes = sigmoid_focal_loss(classes, wanted, 0.25, 2.0, "sum")
    corners = lambda sides: torch.cat([-sides[:, :2], sides[:, 2:]], 1)
    share = targets[..., 5][has_box]
    giou = generalized_box_iou_loss(corners(distances[has_box]), corners(targets[..., :4][has_box]))
    of_boxes = (giou * share).sum() / share.sum().clamp(min=1e-6) * found
    of_centres = F.binary_cross_entropy_with_logits(centres[has_box], share, reduction="sum")
    return (of_classes + of_boxes + of_centres) / found


@torch.no_grad()
def found_boxes(model, pictures, nms_iou):
    """For each picture its boxes, scores and classes, as `wgrad eval` takes them."""
    model.eval()
    height, width = pictures.shape[2:]
    results = []
    for part in pictures.split(8):
        outputs = model(part)
        levels = levels_of(outputs, height)
        centres = torch.cat([centres_of(size, stride) for size, stride, *_ in levels])
        for classes, distances, centre in zip(*places_of(outputs, levels)):
            scores = (classes.sigmoid() * centre.sigmoid()[:, None]).sqrt()
            place, label = (scores >= 0.05).nonzero().T
            score = scores[place, label]
            order = score.argsort(descending=True)[:1000]
            place, label, score = place[order], label[order], score[order]
            corners = torch.cat([centres[place] - distances[place, :2], centres[place] + distances[place, 2:]], 1)
            corners = torch.stack([corners[:, i].clamp(0, (width, height)[i % 2]) for i in range(4)], 1)
            kept = batched_nms(corners, score, label, nms_iou)[:100]
            results.append((corners[kept], score[kept], label[kept]))
    model.train()
    return results


def judged(found, boxes, classes):
    """Mean average precision at an IoU of 0.5 and from 0.5 to 0.95, and that at 0.5 of each class."""
    annotations, results = [], []
    as_box = lambda corners: [corners[0].item(), corners[1].item(), *(corners[2:4] - corners[:2]).tolist()]
    for image, own in enumerate(boxes):
        for row in own:
            box = as_box(row)
            annotations.append(
                dict(id=len(annotations) + 1, image_id=image, category_id=int(row[4]), bbox=box, area=box[2] * box[3], iscrowd=0)
            )
    for image, (corners, scores, labels) in enumerate(found):
        for box, score, label in zip(corners, scores, labels):
            results.append(dict(image_id=image, category_id=int(label), bbox=as_box(box), score=float(score)))
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = dict(
            images=[dict(id=i) for i in range(len(boxes))],
            annotations=annotations,
            categories=[dict(id=i, name=name) for i, name in enumerate(classes)],
        )
        truth.createIndex()
        judge = COCOeval(truth, truth.loadRes(results), "bbox")
        judge.evaluate()
        judge.accumulate()
    precision = judge.eval["precision"][:, :, :, 0, -1]
    return precision[0].mean(), precision.mean(), precision[0].mean(0)


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

    source, fitted = Path(settings["data"]["source"]), settings["fitted"]
    lists = {part: (source / "ImageSets/Main" / f"{part}.txt").read_text().split() for part in ("train", "test")}
    train, boxes = load(source, lists["train"], settings["data"]["size"], fitted["classes"])
    test, test_boxes = load(source, lists["test"], settings["data"]["size"], fitted["classes"])
    mean, std = (torch.tensor(fitted[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    train, test = (train - mean) / std, (test - mean) / std

    model = Model(settings["model"])
    if arguments.init:
        missing, unused = model.load_state_dict(load_file(arguments.init), strict=False)
        missing = [name for name in missing if not name.endswith("num_batches_tracked")]
        if missing or unused:
            sys.exit(f"{arguments.init} lacks {missing} and has {unused} besides")
    average = copy.deepcopy(model)
    optimizer = optimizer_of(settings["optimizer"], model.parameters())
    base, batch, epochs = settings["optimizer"]["lr"], settings["batch"], settings["epochs"]
    decay = settings.get("average", {}).get("decay", 0.0)
    steps, step = epochs * -(-len(train) // batch), 0
    for epoch in range(1, epochs + 1):
        total = 0.0
        for rows in torch.randperm(len(train)).split(batch):
            step += 1
            for group in optimizer.param_groups:
                group["lr"] = base * factor_of(settings["schedule"], step, steps)
            x, own = augmented(train[rows], [boxes[row] for row in rows], settings.get("augment", {}))
            loss = loss_of(model(x), own, train.shape[2])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
            own = min(decay, (1 + step) / (10 + step))
            with torch.no_grad():
                for kept, value in zip(average.parameters(), model.parameters()):
                    kept.lerp_(value, 1 - own)
        if epoch % 10 == 0 or epoch in (1, epochs):
            print(f"epoch {epoch}/{epochs}  loss {total / len(train):.4f}", flush=True)
    for kept, value in zip(average.buffers(), model.buffers()):
        kept.copy_(value)
    found = found_boxes(average if decay else model, test, settings["task"].get("nms_iou", 0.6))
    at_50, whole, each = judged(found, test_boxes, fitted["classes"])
    each = ", ".join(f"{name} {100 * value:.2f}%" for name, value in zip(fitted["classes"], each))
    print(f"mAP@0.5 {100 * at_50:.2f}% ({each}), mAP@0.5:0.95 {100 * whole:.2f}%")


if __name__ == "__main__":
    main()
