"""Train the recurrent model of language that a wgrad run trained, in PyTorch, by the run's own settings.

    python torch_language.py RUN [--init FILE.safetensors] [--seed N] [--threads N]

RUN is a run's folder, or its run.toml: model, text, context, batch, steps, optimizer, schedule and clipping are read there.
FILE holds the weights to start from (`wgrad models init`, or a run's model.safetensors); without it they are PyTorch's own.
Windows begin anywhere, as in wgrad, but are other ones, as with another seed. After each epoch it prints the loss in nats a
token over the test part, in windows side by side: what `wgrad train` prints as test loss.

Needs torch, numpy and safetensors; Python 3.11 for tomllib.
"""

import argparse
import math
import sys
import time
import tomllib
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import load_file

# Token 0 is padding and 1 what is unknown.
FIRST = 2


class Model(nn.Module):
    """The layers of a run's model, one after another, under their names."""

    def __init__(self, layers, vocabulary):
        super().__init__()
        self.kinds, counts, width = [], {}, None
        for layer in layers:
            kind = layer["type"]
            counts[kind] = counts.get(kind, 0) + 1
            name = layer.get("name", f"{kind}{counts[kind]}")
            known = {
                "embedding": {"width"},
                "lstm": {"units", "layers"},
                "gru": {"units", "layers"},
                "dropout": {"rate"},
                "dense": {"units", "bias", "activation"},
            }
            unknown = set(layer) - known.get(kind, set()) - {"type", "name", "weight_init"}
            if kind not in known or unknown or layer.get("activation", "none") != "none":
                sys.exit(f"not here yet: layer {name} of type {kind}, with {', '.join(sorted(layer))}")
            if kind == "embedding":
                module, width = nn.Embedding(vocabulary, layer["width"]), layer["width"]
            elif kind in ("lstm", "gru"):
                recurrent, units = nn.LSTM if kind == "lstm" else nn.GRU, layer["units"]
                module, width = recurrent(width, units, layer.get("layers", 1), batch_first=True), units
            elif kind == "dropout":
                module = nn.Dropout(layer["rate"])
            else:
                module, width = nn.Linear(width, vocabulary, bias=layer.get("bias", True)), vocabulary
            self.add_module(name, module)
            self.kinds.append((name, kind))

    def forward(self, x):
        for name, kind in self.kinds:
            x = getattr(self, name)(x)
            if kind in ("lstm", "gru"):
                x = x[0]
        return x


def rate(schedule, lr, step, steps):
    """The learning rate of step number `step`, from 0."""
    name = schedule.get("name", "constant")
    if name == "constant":
        return lr
    if name != "cosine":
        sys.exit(f"not here yet: schedule {name}")
    warmup, final = schedule.get("warmup_steps", 0), schedule.get("final_share", 0.0)
    if step < warmup:
        return lr * (step + 1) / warmup
    progress = min((step - warmup) / max(steps - warmup, 1), 1.0)
    return lr * (final + (1 - final) * 0.5 * (1 + math.cos(math.pi * progress)))


def optimizer_of(settings, model):
    """The run's optimizer; parameters of one axis without decay where the run says so."""
    options = dict(settings)
    kind = options.pop("name")
    if kind not in ("adam", "adamw"):
        sys.exit(f"not here yet: optimizer {kind}")
    betas = (options.pop("beta1", 0.9), options.pop("beta2", 0.999))
    decay = options.pop("weight_decay", 0.0)
    groups = [{"params": list(model.parameters()), "weight_decay": decay}]
    if options.pop("exclude_bias_and_norm", False):
        split = lambda few: [p for p in model.parameters() if (p.dim() < 2) == few]
        groups = [{"params": split(False), "weight_decay": decay}, {"params": split(True), "weight_decay": 0.0}]
    return {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[kind](groups, betas=betas, **options)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("run", type=Path)
    arguments.add_argument("--init", type=Path)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--threads", type=int, default=1)
    arguments = arguments.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    path = arguments.run / "run.toml" if arguments.run.is_dir() else arguments.run
    run = tomllib.loads(path.read_text())
    data = run["data"]
    if data.get("tokens", "characters") != "characters" or "stride" in data or not run.get("shuffle", True):
        sys.exit("not here yet: tokens other than characters, or windows that do not begin anywhere")

    source = Path(data["source"])
    text = (source if source.is_file() else next(source.glob("*.txt"))).read_bytes()
    cut = int(len(text) * (1 - data["test_share"]))
    train, test = text[:cut].decode(), text[cut:].decode()
    characters = {c: i + FIRST for i, c in enumerate(sorted(set(train)))}
    encode = lambda text: torch.tensor([characters.get(c, 1) for c in text])
    train, test, vocabulary = encode(train), encode(test), FIRST + len(characters)

    context, batch = data["context"], run["batch"]
    per_epoch = run.get("steps_per_epoch") or math.ceil(((len(train) - context - 1) // context + 1) / batch)
    steps = run.get("steps") or run["epochs"] * per_epoch
    model = Model(run["model"]["layer"], vocabulary)
    if arguments.init:
        model.load_state_dict(load_file(arguments.init))
    lr = run["optimizer"]["lr"]
    optimizer = optimizer_of(run["optimizer"], model)
    loss_of = lambda x: F.cross_entropy(model(x[:, :-1]).flatten(0, 1), x[:, 1:].flatten())
    windows = test.unfold(0, context + 1, context)

    start, total = time.process_time(), 0.0
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate(run.get("schedule", {}), lr, step, steps)
        starts = torch.randint(len(train) - context, (batch, 1))
        model.train()
        loss = loss_of(train[starts + torch.arange(context + 1)])
        optimizer.zero_grad()
        loss.backward()
        if "clip_norm" in run:
            nn.utils.clip_grad_norm_(model.parameters(), run["clip_norm"])
        optimizer.step()
        total += loss.item()
        if (step + 1) % per_epoch == 0 or step + 1 == steps:
            model.eval()
            with torch.no_grad():
                losses = [loss_of(part) * len(part) for part in windows.split(64)]
            seconds = time.process_time() - start
            trained = total / (step % per_epoch + 1)
            test_loss = sum(losses).item() / len(windows)
            print(f"step {step + 1}  loss {trained:.4f}  test loss {test_loss:.4f}  {seconds:.0f} s of processor time", flush=True)
            total = 0.0


if __name__ == "__main__":
    main()
