"""The experiment of fine_tuning.py in PyTorch: the built-in models bert-small and bert-small-classifier, by the settings of its runs.

    python torch_masked_language_model.py OUT [--labels N] [--seeds N] [--threads N]

OUT is the folder of fine_tuning.py: the recipes are read in `bert/run.toml` and `fine-tuned-LABELS-1/run.toml`, the words in
`bert/tokenizer.json`, and the labelled texts in `data-LABELS-SEED`. The texts to mask are those of the table that `bert/run.toml`
names as its source; as many are held out as by wgrad, but others. Weights start by the same rules as wgrad's, not as the same
numbers. It prints what fine_tuning.py prints.

Needs torch; Python 3.11 for tomllib.
"""

import argparse
import csv
import json
import math
import random
import statistics
import time
import tomllib
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F

WIDTH, HEADS, BLOCKS, HIDDEN, DROPOUT = 128, 4, 2, 512, 0.1
PADDING, UNKNOWN, FIRST = 0, 1, 2


class Body(nn.Module):
    def __init__(self, vocabulary, context):
        super().__init__()
        self.embedding, self.positions = nn.Embedding(vocabulary, WIDTH), nn.Embedding(context, WIDTH)
        self.embedding_norm, self.embedding_dropout = nn.LayerNorm(WIDTH), nn.Dropout(DROPOUT)
        block = lambda: nn.TransformerEncoderLayer(WIDTH, HEADS, HIDDEN, DROPOUT, "gelu", batch_first=True, norm_first=True)
        self.layers = nn.ModuleList(block() for _ in range(BLOCKS))
        self.norm = nn.LayerNorm(WIDTH)
        for layer in self.layers:
            # As in wgrad, attention weights have no dropout of their own.
            layer.self_attn.dropout = 0.0

    def forward(self, tokens):
        x = self.embedding(tokens) + self.positions.weight[: tokens.shape[1]]
        x = self.embedding_dropout(self.embedding_norm(x))
        for layer in self.layers:
            x = layer(x, src_key_padding_mask=tokens == PADDING)
        return self.norm(x)


class MaskedLanguageModel(nn.Module):
    def __init__(self, vocabulary, context):
        super().__init__()
        self.body = Body(vocabulary, context)
        self.dense, self.norm = nn.Linear(WIDTH, WIDTH), nn.LayerNorm(WIDTH)
        self.bias = nn.Parameter(torch.zeros(vocabulary))
        start(self)

    def forward(self, tokens, chosen):
        x = self.norm(F.gelu(self.dense(self.body(tokens)[chosen])))
        return F.linear(x, self.body.embedding.weight, self.bias)


class Classifier(nn.Module):
    def __init__(self, vocabulary, context, classes):
        super().__init__()
        self.body, self.dropout, self.output = Body(vocabulary, context), nn.Dropout(DROPOUT), nn.Linear(WIDTH, classes)
        start(self)

    def forward(self, tokens):
        real = (tokens != PADDING).float().unsqueeze(-1)
        pooled = (self.body(tokens) * real).sum(1) / real.sum(1).clamp(min=1)
        return self.output(self.dropout(pooled))


def start(model):
    """Weights from a normal distribution of deviation 0.02, biases 0."""
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=0.02)
        elif name.endswith("bias"):
            nn.init.zeros_(parameter)


def words(text):
    """As the tokenizer of words splits a text: runs of letters and digits in lower case, and single signs."""
    word, found = "", []
    for c in text:
        if c.isalnum():
            word += c.lower()
            continue
        if word:
            found.append(word)
        word = ""
        if not c.isspace():
            found.append(c)
    return found + [word] if word else found


class Texts:
    """Rows of tokens and their labels."""

    def __init__(self, rows, known, context):
        encoded = [[known.get(word, UNKNOWN) for word in words(text)][:context] for _, text in rows]
        self.lengths = torch.tensor([len(row) for row in encoded])
        self.tokens = torch.tensor([row + [PADDING] * (context - len(row)) for row in encoded])
        self.labels = torch.tensor([int(label) for label, _ in rows])

    def batches(self, size, shuffled):
        order = torch.randperm(len(self.labels)) if shuffled else torch.arange(len(self.labels))
        for part in order.split(size):
            yield self.tokens[part, : max(1, int(self.lengths[part].max()))], self.labels[part]


def read(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))[1:]


def hide(tokens, ratio, mask, generator=None):
    """What the model sees of the tokens, and which were chosen: 80% masked, 10% random, 10% as they are."""
    draw, other = (torch.rand(tokens.shape, generator=generator) for _ in range(2))
    real = tokens != PADDING
    seen = torch.where(real & (draw < ratio * 0.9), 1 + (other * (mask - 1)).long(), tokens)
    seen = torch.where(real & (draw < ratio * 0.8), torch.tensor(mask), seen)
    return seen, real & (draw < ratio)


def optimizer_of(model, settings, steps):
    """AdamW without weight decay of biases and norms, and the cosine schedule."""
    own, schedule = settings["optimizer"], settings["schedule"]
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": own["weight_decay"]}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=own["lr"], betas=(own.get("beta1", 0.9), own.get("beta2", 0.999)))
    warmup = schedule.get("warmup_steps", 0)

    def factor(step):
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))

    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def fit(model, texts, settings, loss_of, after=None):
    steps = settings["epochs"] * math.ceil(len(texts.labels) / settings["batch"])
    optimizer, schedule = optimizer_of(model, settings, steps)
    for epoch in range(settings["epochs"]):
        model.train()
        for batch in texts.batches(settings["batch"], True):
            loss = loss_of(*batch)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), settings["clip_norm"])
            optimizer.step()
            schedule.step()
        if after:
            after(epoch)


def masked_loss(model, tokens, ratio, mask, generator=None):
    seen, chosen = hide(tokens, ratio, mask, generator)
    return F.cross_entropy(model(seen, chosen), tokens[chosen], reduction="sum"), chosen.sum()


def pretrained(settings, known, mask):
    rows = read(settings["data"]["source"])
    random.Random(settings["seed"]).shuffle(rows)
    held_out = round(len(rows) * settings["data"]["test_share"])
    context, ratio = settings["data"]["context"], settings["task"].get("mask_ratio", 0.15)
    test, train = (Texts(part, known, context) for part in (rows[:held_out], rows[held_out:]))
    torch.manual_seed(settings["seed"])
    model = MaskedLanguageModel(mask + 1, context)

    def loss_of(tokens, _):
        total, count = masked_loss(model, tokens, ratio, mask)
        return total / count.clamp(min=1)

    def after(epoch):
        model.eval()
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            found = [masked_loss(model, tokens, ratio, mask, generator) for tokens, _ in test.batches(settings["batch"], False)]
        loss = sum(total for total, _ in found) / sum(count for _, count in found)
        print(f"epoch {epoch + 1}/{settings['epochs']}  test perplexity {math.exp(loss):.2f}", flush=True)

    fit(model, train, settings, loss_of, after)
    return model.body.state_dict()


def accuracy(model, texts):
    model.eval()
    with torch.no_grad():
        right = sum((model(tokens).argmax(1) == labels).sum().item() for tokens, labels in texts.batches(256, False))
    return right / len(texts.labels)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--labels", type=int, default=500)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    recipe = lambda run: tomllib.loads((given.out / run / "run.toml").read_text(encoding="utf-8"))
    tokenizer = json.loads((given.out / "bert" / "tokenizer.json").read_text(encoding="utf-8"))
    known = {word: token for token, word in enumerate(tokenizer["words"], FIRST)}
    mask = FIRST + len(known)

    began = time.monotonic()
    body = pretrained(recipe("bert"), known, mask)
    print(f"masked language model: {time.monotonic() - began:.0f} s", flush=True)
    found = {"fine-tuned": [], "from scratch": []}
    for seed in range(1, given.seeds + 1):
        settings = recipe(f"fine-tuned-{given.labels}-1")
        context = settings["data"]["context"]
        folder = given.out / f"data-{given.labels}-{seed}"
        train, test = (Texts(read(folder / f"{part}.csv"), known, context) for part in ("train", "test"))
        for name, values in found.items():
            torch.manual_seed(seed)
            model = Classifier(mask + 1, context, 2)
            if name == "fine-tuned":
                model.body.load_state_dict(body)
            fit(model, train, settings, lambda tokens, labels: F.cross_entropy(model(tokens), labels))
            values.append(accuracy(model, test))
            print(f"{name}, seed {seed}: {100 * values[-1]:.2f}%", flush=True)
    for name, values in found.items():
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        print(f"{name}: mean {100 * statistics.mean(values):.2f}%, standard deviation {100 * spread:.2f}, {given.labels} labels")


if __name__ == "__main__":
    main()
