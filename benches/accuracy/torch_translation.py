"""Train the built-in transformer of a wgrad run that translates, in PyTorch, by the run's own settings, and measure BLEU.

    python torch_translation.py RUN [--init FILE.safetensors] [--seed N] [--threads N] [--out FILE]

RUN is a run's folder: data, context, batch, epochs, label smoothing, optimizer, schedule and clipping are read in its run.toml, and
the byte pairs in its tokenizer.json. FILE holds the weights to start from (`wgrad models init`, or a run's model.safetensors);
without it they are drawn by the same rules. Sentences come in another order, as with another seed. After each epoch it prints the
loss and the token accuracy of the test part, and at the end sacreBLEU's BLEU of a greedy search; --out writes the translations.

Needs torch, numpy, safetensors and sacrebleu; Python 3.11 for tomllib.
"""

import argparse
import gzip
import json
import math
import sys
import time
import tomllib
import unicodedata
from pathlib import Path

import sacrebleu
import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import load_file


def lines(folder, name, language):
    """The lines of a file, which may be compressed."""
    packed = folder / f"{name}.{language}.gz"
    if packed.exists():
        return gzip.open(packed, "rt", encoding="utf-8").read().splitlines()
    return (folder / f"{name}.{language}").read_text(encoding="utf-8").splitlines()


def part(folder, names, languages):
    """The pairs of the first part of these names, without those of which one side is empty."""
    stems = sorted({path.name.split(".")[0] for path in folder.iterdir()})
    stem = next(stem for name in names for stem in stems if stem.startswith(name))
    pairs = zip(*(lines(folder, stem, language) for language in languages), strict=True)
    return [pair for pair in pairs if all(text.strip() for text in pair)]


class Attention(nn.Module):
    """Self-attention under the names of `nn.MultiheadAttention`."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, x, mask):
        qkv = F.linear(x, self.in_proj_weight, self.in_proj_bias)
        return self.out_proj(attended(*qkv.chunk(3, -1), self.heads, mask))


def attended(q, k, v, heads, mask):
    split = lambda x: x.unflatten(-1, (heads, -1)).transpose(1, 2)
    y = F.scaled_dot_product_attention(split(q), split(k), split(v), attn_mask=mask)
    return y.transpose(1, 2).flatten(2)


class Block(nn.Module):
    """A block of the encoder, or with cross-attention one of the decoder."""

    def __init__(self, width, heads, hidden, dropout, cross):
        super().__init__()
        self.heads, self.cross = heads, cross
        self.norm1, self.self_attn = nn.LayerNorm(width), Attention(width, heads)
        if cross:
            self.norm2 = nn.LayerNorm(width)
            self.queries, self.keys_values = nn.Linear(width, width), nn.Linear(width, 2 * width)
            self.out_proj = nn.Linear(width, width)
        self.norm3 = nn.LayerNorm(width)
        self.linear1, self.linear2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask, memory=None, memory_mask=None):
        x = x + self.dropout(self.self_attn(self.norm1(x), mask))
        if self.cross:
            k, v = self.keys_values(memory).chunk(2, -1)
            y = attended(self.queries(self.norm2(x)), k, v, self.heads, memory_mask)
            x = x + self.dropout(self.out_proj(y))
        return x + self.dropout(self.linear2(F.relu(self.linear1(self.norm3(x)))))


class Transformer(nn.Module):
    """The built-in model, under its names."""

    def __init__(self, vocabulary, context, width, heads, hidden, blocks, dropout):
        super().__init__()
        for side in ("source", "target"):
            table, positions = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
            nn.init.normal_(table.weight, std=0.088)
            nn.init.normal_(positions.weight, std=0.02)
            self.add_module(f"{side}_embedding", table)
            self.add_module(f"{side}_positions", positions)
        block = lambda cross: Block(width, heads, hidden, dropout, cross)
        self.encoder = nn.ModuleList(block(False) for _ in range(blocks))
        self.decoder = nn.ModuleList(block(True) for _ in range(blocks))
        self.memory, self.norm, self.dropout = nn.LayerNorm(width), nn.LayerNorm(width), nn.Dropout(dropout)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def embedded(self, side, x):
        table, positions = getattr(self, f"{side}_embedding"), getattr(self, f"{side}_positions")
        return self.dropout(table(x) + positions.weight[: x.shape[1]])

    def encode(self, source):
        mask = (source != 0)[:, None, None, :]
        x = self.embedded("source", source)
        for block in self.encoder:
            x = block(x, mask)
        return self.memory(x), mask

    def decode(self, target, memory, memory_mask):
        time = target.shape[1]
        mask = torch.ones(time, time, dtype=torch.bool, device=target.device).tril()
        x = self.embedded("target", target)
        for block in self.decoder:
            x = block(x, mask, memory, memory_mask)
        return self.norm(x) @ self.target_embedding.weight.T

    def forward(self, source, target):
        return self.decode(target, *self.encode(source))


class BytePairs:
    """The run's tokenizer: token 0 is padding, then the bytes, then pairs in the order in which they were learned."""

    def __init__(self, path):
        stored = json.loads(path.read_text())
        if stored["kind"] != "byte_pairs":
            sys.exit("not here yet: tokens other than byte pairs")
        self.pieces = [b""] + [bytes([byte]) for byte in range(256)]
        self.ranks = {}
        for a, b in stored["merges"]:
            self.ranks[a, b] = len(self.pieces)
            self.pieces.append(self.pieces[a] + self.pieces[b])
        self.cache = {}

    def words(self, text):
        """The pieces that are encoded by themselves: a word with the space before it, a run of digits, of signs or of space."""
        kind = lambda c: "letters" if c.isalpha() else "digits" if c.isnumeric() else "space" if c.isspace() else "signs"
        start, current = 0, None
        for at, c in enumerate(text):
            following = kind(c)
            if current == "letters" and unicodedata.combining(c):
                following = "letters"
            after_space = current == "space" and text[start:at] == " " and following != "space"
            if current not in (None, following) and not after_space:
                yield text[start:at]
                start = at
            current = following
        if start < len(text):
            yield text[start:]

    def encode(self, text):
        tokens = []
        for piece in self.words(unicodedata.normalize("NFC", text.strip())):
            if piece not in self.cache:
                word = [byte + 1 for byte in piece.encode()]
                while ranked := [(self.ranks[pair], pair) for pair in zip(word, word[1:]) if pair in self.ranks]:
                    token, pair = min(ranked)
                    joined, at = [], 0
                    while at < len(word):
                        matches = tuple(word[at : at + 2]) == pair
                        joined.append(token if matches else word[at])
                        at += 2 if matches else 1
                    word = joined
                self.cache[piece] = word
            tokens += self.cache[piece]
        return tokens

    def decode(self, tokens):
        return b"".join(self.pieces[token] for token in tokens if token < len(self.pieces)).decode(errors="replace")


def tensors(pairs, tokenizer, context):
    """Sentences with their end, and translations between two marks, padded: of each `context` tokens, and one more."""
    begin = len(tokenizer.pieces)
    padded = lambda tokens, length: (tokens + [0] * length)[:length]
    sources = [padded(tokenizer.encode(text)[: context - 1] + [begin + 1], context) for text, _ in pairs]
    targets = [padded([begin] + tokenizer.encode(text) + [begin + 1], context + 1) for _, text in pairs]
    return torch.tensor(sources), torch.tensor(targets)


@torch.no_grad()
def greedy(model, sources, begin):
    """The tokens that a greedy search writes, up to the end of each translation."""
    memory, mask = model.encode(sources)
    tokens = torch.full((len(sources), 1), begin)
    for _ in range(sources.shape[1]):
        scores = model.decode(tokens, memory, mask)[:, -1]
        scores[:, [0, begin]] = -math.inf
        tokens = torch.cat([tokens, scores.argmax(-1, keepdim=True)], 1)
        if (tokens == begin + 1).any(1).all():
            break
    rows = [row[1:] for row in tokens.tolist()]
    return [row[: row.index(begin + 1)] if begin + 1 in row else row for row in rows]


def grouped(buckets, batch):
    """The batches of an epoch, of samples of one bucket, in any order but for a last one with fewer samples."""
    order = torch.randperm(len(buckets))
    parts = list(order[torch.sort(buckets[order], stable=True).indices].split(batch))
    full = len(order) // batch
    return [parts[at] for at in torch.randperm(full)] + parts[full:]


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("run", type=Path)
    arguments.add_argument("--init", type=Path)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--out", type=Path)
    arguments = arguments.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    run = tomllib.loads((arguments.run / "run.toml").read_text())
    model_file, schedule, options = run["model"], run["schedule"], dict(run["optimizer"])
    if model_file["name"] != "transformer" or schedule["name"] != "inverse_sqrt" or options.pop("name") != "adam":
        sys.exit("not here yet: other models, schedules and optimizers than those of examples/translation.toml")
    tokenizer = BytePairs(arguments.run / "tokenizer.json")
    begin, context, batch = len(tokenizer.pieces), run["data"]["context"], run["batch"]
    folder, languages = Path(run["data"]["source"]), run["fitted"]["languages"]
    sources, targets = tensors(part(folder, ["train"], languages), tokenizer, context)
    test_pairs = part(folder, ["test"], languages)
    test = tensors(test_pairs, tokenizer, context)

    top = {layer.get("name"): layer for layer in model_file["layer"]}
    inner = {layer["name"]: layer for layer in model_file["block"]["encoder"]["layer"]}
    width, heads = top["source_embedding"]["width"], inner["self_attn"]["heads"]
    hidden, blocks = inner["linear1"]["units"], top["encoder"]["repeat"]
    dropout = model_file["block"]["encoder"]["defaults"]["dropout"]
    model = Transformer(begin + 2, context, width, heads, hidden, blocks, dropout)
    if arguments.init:
        model.load_state_dict(load_file(arguments.init), strict=False)
    betas = (options.pop("beta1", 0.9), options.pop("beta2", 0.999))
    lr, warmup = options.pop("lr"), schedule["warmup_steps"]
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, betas=betas)

    def losses(source, target, smoothing):
        logits = model(source, target[:, :-1]).flatten(0, 1)
        loss = F.cross_entropy(logits, target[:, 1:].flatten(), ignore_index=0, label_smoothing=smoothing)
        right = (logits.argmax(-1) == target[:, 1:].flatten()) & (target[:, 1:].flatten() != 0)
        return loss, right.sum().item(), (target[:, 1:] != 0).sum().item()

    lengths = [*sorted(run["data"].get("buckets", [])), context]
    longest = torch.maximum((sources != 0).sum(1), (targets != 0).sum(1) - 1)
    buckets = torch.bucketize(longest, torch.tensor(lengths[:-1]))
    start, step = time.time(), 0
    for epoch in range(run["epochs"]):
        model.train()
        for index in grouped(buckets, batch):
            step += 1
            length = lengths[buckets[index].max()]
            for group in optimizer.param_groups:
                group["lr"] = lr * min(step / warmup, math.sqrt(warmup / step))
            loss, _, _ = losses(sources[index, :length], targets[index, : length + 1], run.get("label_smoothing", 0.0))
            optimizer.zero_grad()
            loss.backward()
            if "clip_norm" in run:
                nn.utils.clip_grad_norm_(model.parameters(), run["clip_norm"])
            optimizer.step()
        model.eval()
        with torch.no_grad():
            found = [losses(*both, 0.0) for both in zip(*(side.split(batch) for side in test))]
        total = sum(count for _, _, count in found)
        loss = sum(loss.item() * count for loss, _, count in found) / total
        accuracy = sum(right for _, right, _ in found) / total
        print(f"epoch {epoch + 1}: test loss {loss:.4f}, accuracy {accuracy:.2%}, {time.time() - start:.0f} s", flush=True)
    written = [row for part in test[0].split(batch) for row in greedy(model, part, begin)]
    written = [" ".join(tokenizer.decode(row).split()) for row in written]
    print(f"BLEU {sacrebleu.corpus_bleu(written, [[text for _, text in test_pairs]]).score:.2f} of a greedy search")
    if arguments.out:
        arguments.out.write_text("".join(f"{line}\n" for line in written), encoding="utf-8")


if __name__ == "__main__":
    main()
