"""Train the built-in model gpt-nano in PyTorch by the recipe of examples/shakespeare.toml (nanoGPT's for a CPU, at four times its learning rate).

    python torch_gpt.py TEXT [--seed N] [--steps N] [--threads N]

Weights start by the same rules as wgrad's, not as the same numbers; windows begin anywhere. After every quarter of the steps it
prints the loss in nats a character over the last tenth of the text, in windows side by side: what `wgrad train` prints as test
loss.
"""

import argparse
import math
import time
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F

WIDTH, HEADS, BLOCKS, CONTEXT, BATCH = 128, 4, 4, 64, 12
WARMUP, RATE, LAST_RATE = 100, 4e-3, 4e-4


class Norm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(WIDTH))

    def forward(self, x):
        return F.layer_norm(x, (WIDTH,), self.weight, None, 1e-5)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln_1, self.ln_2 = Norm(), Norm()
        self.c_attn, self.c_proj = nn.Linear(WIDTH, 3 * WIDTH, bias=False), nn.Linear(WIDTH, WIDTH, bias=False)
        self.c_fc, self.mlp_proj = nn.Linear(WIDTH, 4 * WIDTH, bias=False), nn.Linear(4 * WIDTH, WIDTH, bias=False)

    def forward(self, x):
        batch, time_, _ = x.shape
        parts = self.c_attn(self.ln_1(x)).split(WIDTH, -1)
        q, k, v = (z.view(batch, time_, HEADS, WIDTH // HEADS).transpose(1, 2) for z in parts)
        heads = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.c_proj(heads.transpose(1, 2).reshape(batch, time_, WIDTH))
        return x + self.mlp_proj(F.gelu(self.c_fc(self.ln_2(x))))


class Gpt(nn.Module):
    def __init__(self, vocabulary):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocabulary, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(BLOCKS))
        self.ln_f, self.lm_head = Norm(), nn.Linear(WIDTH, vocabulary, bias=False)
        self.wte.weight = self.lm_head.weight
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                is_last = name.endswith("proj.weight")
                nn.init.normal_(weight, 0.0, 0.02 / math.sqrt(2 * BLOCKS) if is_last else 0.02)

    def forward(self, tokens):
        x = self.wte(tokens) + self.wpe.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.lm_head(self.ln_f(x))


def cross_entropy(model, tokens, targets, reduction="mean"):
    return F.cross_entropy(model(tokens).flatten(0, 1), targets.flatten(), reduction=reduction)


@torch.no_grad()
def test_loss(model, text):
    windows = (len(text) - 1) // CONTEXT
    tokens, targets = (text[i : windows * CONTEXT + i].view(windows, CONTEXT) for i in (0, 1))
    total = sum(cross_entropy(model, *pair, "sum").item() for pair in zip(tokens.split(128), targets.split(128)))
    return total / (windows * CONTEXT)


def rate(step, steps):
    if step < WARMUP:
        return RATE * (step + 1) / (WARMUP + 1)
    along = (step - WARMUP) / (steps - WARMUP)
    return LAST_RATE + 0.5 * (1 + math.cos(math.pi * along)) * (RATE - LAST_RATE)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    text = args.text.read_text()
    number = {character: i for i, character in enumerate(sorted(set(text)))}
    text = torch.tensor([number[character] for character in text])
    train, test = text[: len(text) * 9 // 10], text[len(text) * 9 // 10 :]
    model = Gpt(len(number))
    weights = list(model.parameters())
    groups = [
        {"params": [w for w in weights if w.dim() > 1], "weight_decay": 0.1},
        {"params": [w for w in weights if w.dim() < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.99))
    start = time.time()
    for step in range(args.steps):
        for group in optimizer.param_groups:
            group["lr"] = rate(step, args.steps)
        first = torch.randint(len(train) - CONTEXT, (BATCH, 1)) + torch.arange(CONTEXT)
        loss = cross_entropy(model, train[first], train[first + 1])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        if (step + 1) % max(args.steps // 4, 1) == 0:
            print(f"step {step + 1}  test loss {test_loss(model, test):.4f}  {time.time() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
