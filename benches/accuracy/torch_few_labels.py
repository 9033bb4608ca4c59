"""Contrastive learning, FixMatch and distillation in PyTorch, by the settings of runs of wgrad, to hold the accuracies side by side.

    python torch_few_labels.py contrastive RUN [--share 0.01] [--seed N]
    python torch_few_labels.py fixmatch RUN
    python torch_few_labels.py distillation RUN

RUN is the folder of a run of examples/contrastive.toml, examples/fixmatch.toml or examples/distillation.toml on IDX files. After
contrastive learning, a linear probe and fine-tuning are trained as by examples/probe.toml, for the seeds 1 to 3; the teacher of a
distillation is trained here, too (the network of `mnist-cnn`, 3 epochs). Views are made by the rules of wgrad; what is drawn differs.

Needs torch and numpy; Python 3.11 for tomllib.
"""

import argparse
import math
import statistics
import time
import tomllib
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from torch_data import load


class StridedCnn(nn.Module):
    """assets/models/strided-cnn.toml"""

    def __init__(self, classes=10):
        super().__init__()
        widths = [1, 32, 64, 128]
        blocks = zip(widths, widths[1:])
        layers = [[nn.Conv2d(a, b, 3, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU()] for a, b in blocks]
        self.body = nn.Sequential(*[layer for block in layers for layer in block])
        self.head = nn.Linear(128, classes)

    def features(self, x):
        return self.body(x).mean((2, 3))

    def forward(self, x):
        return self.head(self.features(x))


class MnistCnn(nn.Module):
    """assets/models/mnist-cnn.toml"""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 32, 3), nn.Conv2d(32, 64, 3)
        self.dense1, self.dense2 = nn.Linear(9216, 128), nn.Linear(128, 10)

    def forward(self, x):
        x = F.max_pool2d(self.conv2(self.conv1(x).relu()).relu(), 2)
        x = F.dropout(x, 0.25, self.training).flatten(1)
        return self.dense2(F.dropout(self.dense1(x).relu(), 0.5, self.training))


def view(x, augment):
    """Images changed by the settings of `[augment]`, in the order of wgrad."""
    n, _, height, width = x.shape
    if augment.get("flip"):
        x = torch.where(torch.rand(n, 1, 1, 1) < 0.5, x.flip(3), x)
    degrees = augment.get("rotate", 0)
    if degrees:
        turn = (2 * torch.rand(n) - 1) * math.radians(degrees)
        cos, sin, zero = turn.cos(), turn.sin(), torch.zeros(n)
        matrix = torch.stack([torch.stack([cos, -sin, zero], 1), torch.stack([sin, cos, zero], 1)], 1)
        x = F.grid_sample(x, F.affine_grid(matrix, list(x.shape), align_corners=False), align_corners=False)
    zoom = augment.get("zoom", 1)
    if zoom > 1:
        share = 1 / (1 + torch.rand(n) * (zoom - 1))
        place, zero = [(2 * torch.rand(n) - 1) * (1 - share) for _ in range(2)], torch.zeros(n)
        matrix = torch.stack([torch.stack([share, zero, place[0]], 1), torch.stack([zero, share, place[1]], 1)], 1)
        grid = F.affine_grid(matrix, list(x.shape), align_corners=False)
        x = F.grid_sample(x, grid, padding_mode="border", align_corners=False)
    crop = augment.get("crop", 0)
    if crop:
        padded = F.pad(x, [crop] * 4)
        down, right = torch.randint(0, 2 * crop + 1, (2, n))
        rows = (down[:, None] + torch.arange(height))[:, :, None].expand(-1, -1, width)
        columns = (right[:, None] + torch.arange(width))[:, None].expand(-1, height, -1)
        x = padded[torch.arange(n)[:, None, None], :, rows, columns].permute(0, 3, 1, 2)

    def around_zero(most):
        return (2 * torch.rand(n, 1, 1, 1) - 1) * most

    x = x + around_zero(augment.get("contrast", 0)) * x + around_zero(augment.get("brightness", 0))
    hole = augment.get("cutout", 0)
    if hole:
        top, left = torch.randint(0, height, (2, n, 1)) - hole // 2
        row, column = torch.arange(height), torch.arange(width)
        inside = ((row >= top) & (row < top + hole))[:, :, None] & ((column >= left) & (column < left + hole))[:, None]
        x = x.masked_fill(inside[:, None], 0.0)
    return x


def balanced(labels, count, generator):
    """`count` samples, equally many of each class."""
    classes = int(labels.max()) + 1
    of = [torch.nonzero(labels == c)[:, 0] for c in range(classes)]
    return torch.cat([own[torch.randperm(len(own), generator=generator)[: count // classes]] for own in of])


@torch.no_grad()
def accuracy(model, x, y):
    model.eval()
    right = sum((model(a).argmax(1) == b).sum().item() for a, b in zip(x.split(500), y.split(500)))
    model.train()
    return right / len(y)


def rate(step, steps, warmup=0):
    """Cosine schedule with a linear warm-up."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def batches(count, batch):
    return torch.randperm(count).split(batch)


def optimise(parameters, optimizer, steps, warmup=0):
    adam = torch.optim.AdamW if optimizer["name"] == "adamw" else torch.optim.Adam
    made = adam(parameters, optimizer["lr"], weight_decay=optimizer.get("weight_decay", 0.0))
    return made, torch.optim.lr_scheduler.LambdaLR(made, lambda step: rate(step, steps, warmup))


def contrastive(settings, train, test, share, seeds):
    (x, y), task, batch = train, settings["task"], settings["batch"]
    model, code = StridedCnn(), task.get("code", 128)
    projection = nn.Sequential(nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, code))
    steps = settings["epochs"] * math.ceil(len(x) / batch)
    parameters = [*model.body.parameters(), *projection.parameters()]
    optimizer, schedule = optimise(parameters, settings["optimizer"], steps, settings["schedule"].get("warmup_steps", 0))
    for epoch in range(settings["epochs"]):
        began, total = time.monotonic(), 0.0
        for at in batches(len(x), batch):
            views = [view(x[at], settings["augment"]) for _ in range(2)]
            z = torch.cat([F.normalize(projection(model.features(v))) for v in views])
            similar = (z @ z.T / task["temperature"]).fill_diagonal_(-math.inf)
            loss = F.cross_entropy(similar, torch.arange(len(z)).roll(len(at)))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(at)
        print(f"epoch {epoch + 1}: loss {total / len(x):.4f}, {time.monotonic() - began:.0f} s", flush=True)
    learned = {name: value.clone() for name, value in model.state_dict().items()}
    count = round(share * len(x))
    for way, lr in [("probe", 0.01), ("fine-tuning", 0.002)]:
        for start in ["random", "contrastive"]:
            found = []
            for seed in seeds:
                torch.manual_seed(seed)
                generator = torch.Generator().manual_seed(seed)
                chosen = balanced(y, count, generator)
                probe = StridedCnn()
                if start == "contrastive":
                    body = {name: value for name, value in learned.items() if name.startswith("body")}
                    probe.load_state_dict(body, strict=False)
                trained = probe.head if way == "probe" else probe
                epochs = 40 if share < 0.05 else 12
                steps = epochs * math.ceil(count / 64)
                optimizer, schedule = optimise(trained.parameters(), {"name": "adam", "lr": lr}, steps)
                for _ in range(epochs):
                    for at in batches(count, 64):
                        if way == "probe":
                            probe.body.eval()
                        loss = F.cross_entropy(probe(x[chosen[at]]), y[chosen[at]])
                        optimizer.zero_grad()
                        loss.backward()
                        optimizer.step()
                        schedule.step()
                found.append(accuracy(probe, *test))
            print(f"{share:.0%} of the labels, {start}, {way}: {statistics.mean(found):.2%} {[f'{a:.2%}' for a in found]}", flush=True)


def fixmatch(settings, train, test):
    (x, y), task, batch = train, settings["task"], settings["batch"]
    generator = torch.Generator().manual_seed(settings["seed"])
    chosen = balanced(y, int(settings["data"]["labelled"]), generator)
    strong = task.get("strong", {"rotate": 20, "zoom": 1.2, "crop": 2, "brightness": 0.5, "contrast": 0.5, "cutout": 6})
    own = max(1, round(batch / (1 + task.get("ratio", 7))))
    steps = settings["epochs"] * math.ceil(len(x) / batch)
    model = StridedCnn()
    optimizer, schedule = optimise(model.parameters(), settings["optimizer"], steps)
    for step in range(steps):
        labelled = chosen[torch.randint(len(chosen), (own,))]
        at = torch.cat([labelled, torch.randint(len(x), (batch - own,))])
        weak = model(view(x[at], settings.get("augment", {})))
        seen = model(view(x[at], strong))[own:]
        with torch.no_grad():
            sure, guessed = weak[own:].softmax(1).max(1)
        counted = (sure >= task.get("threshold", 0.95)).float()
        loss = F.cross_entropy(weak[:own], y[labelled])
        loss = loss + task.get("weight", 1.0) * (F.cross_entropy(seen, guessed, reduction="none") * counted).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    print(f"fixmatch: {accuracy(model, *test):.2%}")


def distillation(settings, train, test):
    (x, y), task, batch = train, settings["task"], settings["batch"]

    def trained(model, epochs, loss_of, optimizer):
        steps = epochs * math.ceil(len(x) / batch)
        made, schedule = optimise(model.parameters(), optimizer, steps)
        for _ in range(epochs):
            for at in batches(len(x), batch):
                loss = loss_of(model, x[at], y[at])
                made.zero_grad()
                loss.backward()
                made.step()
                schedule.step()
        return accuracy(model, *test)

    teacher = MnistCnn()
    plain = lambda model, a, b: F.cross_entropy(model(a), b)
    print(f"teacher: {trained(teacher, 3, plain, {'name': 'adam', 'lr': 0.001}):.2%}", flush=True)
    teacher.eval()
    heat, weight = task.get("temperature", 4.0), task.get("weight", 0.9)

    def taught(model, a, b):
        with torch.no_grad():
            known = (teacher(a) / heat).softmax(1)
        logits = model(a)
        divergence = F.kl_div((logits / heat).log_softmax(1), known, reduction="batchmean")
        return weight * heat**2 * divergence + (1 - weight) * F.cross_entropy(logits, b)

    for name, loss_of in [("alone", plain), ("with the teacher", taught)]:
        found = []
        for seed in [1, 2, 3]:
            torch.manual_seed(seed)
            student = nn.Sequential(nn.Flatten(), nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 10))
            found.append(trained(student, settings["epochs"], loss_of, settings["optimizer"]))
        print(f"{name}: {statistics.mean(found):.2%} {[f'{a:.2%}' for a in found]}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["contrastive", "fixmatch", "distillation"])
    parser.add_argument("run", type=Path)
    parser.add_argument("--share", type=float, default=0.01)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int)
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    settings = tomllib.loads((given.run / "run.toml").read_text())
    torch.manual_seed(settings["seed"])
    train, test = load(settings["data"])
    fitted = settings["fitted"]

    def normal(part):
        images, labels = part
        return (images.float() / 255 - fitted["mean"][0]) / fitted["std"][0], labels

    train, test = normal(train), normal(test)
    match given.what:
        case "contrastive":
            contrastive(settings, train, test, given.share, range(1, given.seeds + 1))
        case "fixmatch":
            fixmatch(settings, train, test)
        case "distillation":
            distillation(settings, train, test)


if __name__ == "__main__":
    main()
