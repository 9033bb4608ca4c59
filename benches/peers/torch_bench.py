"""The workloads of `wgrad bench` in PyTorch, on the CPU or, with --device, elsewhere: a JSON line each.

usage: torch_bench.py [--device cpu|cuda|mps] [--precision float32|tf32|float16|bfloat16] [--runs N] [WORKLOAD ...]

Names are those of `wgrad bench --list`; a WORKLOAD chooses those whose names contain it. Times are milliseconds of
finished work, float32 with TF32 off. `tf32` rounds the inputs of products to 10 bits of mantissa; `float16` and
`bfloat16` run each step under autocast, without scaling of the loss; a step includes the conversions. A run repeats its work for about 20 ms, so that neither waiting nor launching shows.
`first_step_s`, of the first workload only, is the seconds from the program's start to the end of its first step.
"""

import time

STARTED = time.perf_counter()

import argparse
import json
import statistics
import sys

import torch
import torch.nn.functional as F
from torch import nn

import torch_models

RUN_SECONDS = 0.02
WARM_UP_SECONDS = 0.3


def uniform(*shape):
    return torch.rand(*shape) - 0.5


def matmul(m, k, n, *, transposed="nn", batch=()):
    def make(to):
        # A transposed operand is stored transposed and seen through a view, as BLAS takes it.
        def operand(rows, columns, is_transposed):
            if is_transposed:
                return to(uniform(*batch, columns, rows)).transpose(-1, -2)
            return to(uniform(*batch, rows, columns))

        a = operand(m, k, transposed[0] == "t")
        b = operand(k, n, transposed[1] == "t")
        return lambda: a @ b

    return make


def conv2d(batch, channels, size, filters, kernel, padding, *, stride=1, groups=1, backward):
    def make(to):
        x = to(uniform(batch, channels, size, size)).requires_grad_(backward)
        w = to(uniform(filters, channels // groups, kernel, kernel)).requires_grad_(backward)

        def forward():
            return F.conv2d(x, w, stride=stride, padding=padding, groups=groups)

        if not backward:
            return forward
        upstream = to(uniform(*forward().shape))
        return lambda: torch.autograd.grad(forward(), (x, w), upstream)

    return make


def with_gradient(function, *shape):
    def make(to):
        x = to(uniform(*shape)).requires_grad_()
        upstream = to(uniform(*function(x).shape))
        return lambda: torch.autograd.grad(function(x), x, upstream)

    return make


def cross_entropy(to):
    logits = to(uniform(128, 10)).requires_grad_()
    labels = to(torch.randint(0, 10, (128,)))
    upstream = to(uniform(128))

    def step():
        losses = F.cross_entropy(logits, labels, reduction="none")
        return torch.autograd.grad(losses, logits, upstream)

    return step


def add(to):
    a, b = to(uniform(1 << 24)), to(uniform(1 << 24))
    y = torch.empty_like(a)
    return lambda: torch.add(a, b, out=y)


def total(to):
    x = to(uniform(1 << 24))
    return lambda: x.sum()


def adam(to):
    weight = nn.Parameter(to(uniform(1 << 20)))
    weight.grad = to(uniform(1 << 20))
    return torch.optim.Adam([weight], lr=1e-3).step


def attention(time, *, backward):
    """Causal, by 4 heads of 32 numbers, of 8 sequences; queries, keys and values side by side, as wgrad has them."""

    def make(to):
        qkv = to(uniform(8, time, 3 * 128)).requires_grad_(backward)

        def forward():
            q, k, v = (x.view(8, time, 4, 32).transpose(1, 2) for x in qkv.split(128, dim=2))
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            return y.transpose(1, 2).reshape(8, time, 128)

        if not backward:
            return forward
        upstream = to(uniform(8, time, 128))
        return lambda: torch.autograd.grad(forward(), qkv, upstream)

    return make


def train(model_of, inputs_of, labels, optimizer=torch.optim.Adam):
    """A training step: `labels` is their number and how many kinds there are."""

    def make(to):
        model, inputs = to(model_of()), to(inputs_of())
        targets = to(torch.randint(0, labels[1], (labels[0],)))
        update = optimizer(model.parameters(), lr=1e-3)

        def step():
            update.zero_grad()
            F.cross_entropy(model(inputs).view(*labels), targets).backward()
            update.step()

        return step

    return make


def cnn_train(batch):
    return train(torch_models.cnn, lambda: torch.rand(batch, 1, 28, 28), (batch, 10))


def workloads():
    """Names with what makes their step."""
    for m, k, n in [
        (256, 256, 256),
        (512, 512, 512),
        (1024, 1024, 1024),
        (4096, 4096, 4096),
        (128, 784, 128),
        (8, 4096, 1024),
        (4096, 1024, 8),
    ]:
        yield f"matmul_{m}x{k}x{n}", matmul(m, k, n)
    for transposed in ("tn", "nt", "tt"):
        yield f"matmul_{transposed}_512x512x512", matmul(512, 512, 512, transposed=transposed)
    yield "matmul_nt_32x128x32x128", matmul(128, 32, 128, transposed="nt", batch=(32,))
    for n, c, size, o, k, p, s, g in [
        (32, 1, 28, 32, 3, 0, 1, 1),
        (32, 32, 13, 64, 3, 0, 1, 1),
        (16, 64, 32, 64, 3, 1, 1, 1),
        (8, 128, 16, 128, 3, 1, 1, 1),
        (8, 512, 4, 512, 3, 1, 1, 1),
        (16, 3, 32, 64, 3, 1, 1, 1),
        (16, 64, 32, 64, 1, 0, 1, 1),
        (16, 32, 16, 64, 5, 2, 1, 1),
        (16, 64, 32, 128, 3, 1, 2, 1),
        (16, 64, 32, 64, 3, 1, 1, 64),
    ]:
        name = f"{n}x{c}x{size}x{size}_to{o}_k{k}_p{p}"
        name += f"_s{s}" * (s != 1) + f"_g{g}" * (g != 1)
        for passes, backward in (("fwd", False), ("fwdbwd", True)):
            make = conv2d(n, c, size, o, k, p, stride=s, groups=g, backward=backward)
            yield f"conv2d_{passes}_{name}", make
    pooled = (32, 32, 26, 26)
    yield "maxpool2x2_fwdbwd_32x32x26x26", with_gradient(lambda x: F.max_pool2d(x, 2), *pooled)
    yield "avgpool2x2_fwdbwd_32x32x26x26", with_gradient(lambda x: F.avg_pool2d(x, 2), *pooled)
    yield "softmax_fwdbwd_4096x1024", with_gradient(lambda x: x.softmax(-1), 4096, 1024)
    yield "softmax_cross_entropy_128x10", cross_entropy
    yield "add_16m", add
    yield "sum_16m", total
    yield "adam_1m", adam
    for time in (64, 128, 256):
        for passes, backward in (("fwd", False), ("fwdbwd", True)):
            yield f"attention_{passes}_8x4x{time}x32", attention(time, backward=backward)
    yield "lstm_train_b64", train(torch_models.Lstm, lambda: torch.rand(64, 28, 28), (64, 10))
    letters = lambda: torch.randint(0, 65, (8, 128))
    yield "gpt_train_b8", train(torch_models.Gpt, letters, (8 * 128, 65), torch.optim.AdamW)
    for batch in (32, 128):
        yield f"cnn_train_b{batch}", cnn_train(batch)
    yield "resnet18_train_b8", train(torch_models.ResNet18, lambda: torch.rand(8, 3, 32, 32), (8, 10))


def in_precision(step, precision, device):
    """`step` under autocast, where `precision` is a type of 16 bits."""
    if precision not in ("float16", "bfloat16"):
        return step

    def autocast():
        with torch.autocast(device, dtype=getattr(torch, precision)):
            return step()

    return autocast


def measure(step, synchronize, runs):
    """Seconds from the program's start to the end of the first step, and sorted milliseconds a step."""

    def ms_each(times):
        start = time.perf_counter()
        for _ in range(times):
            step()
        synchronize()
        return 1e3 * (time.perf_counter() - start) / times

    start, times, warm_ups = time.perf_counter(), 1, 1
    ms_each(1)
    first_step_s = time.perf_counter() - STARTED
    while warm_ups < 3 or time.perf_counter() - start < WARM_UP_SECONDS:
        times = max(1, min(times * 8, round(1e3 * RUN_SECONDS / ms_each(times))))
        warm_ups += 1
    return first_step_s, sorted(ms_each(times) for _ in range(runs))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("filters", nargs="*", metavar="WORKLOAD")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="float32", choices=["float32", "tf32", "float16", "bfloat16"])
    parser.add_argument("--runs", type=int, default=9)
    args = parser.parse_args()
    synchronize = {"cuda": torch.cuda.synchronize, "mps": torch.mps.synchronize}
    synchronize = synchronize.get(args.device, lambda: None)
    torch.manual_seed(0)
    # Convolutions on CUDA would otherwise round their inputs to TF32 (10 bits of mantissa) by default.
    torch.backends.cudnn.allow_tf32 = args.precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = args.precision == "tf32"
    is_first = True
    for name, make in workloads():
        if args.filters and not any(f in name for f in args.filters):
            continue
        gradients = "fwdbwd" in name or "train" in name or "entropy" in name
        with torch.set_grad_enabled(gradients):
            step = make(lambda tensor: tensor.to(args.device))
            step = in_precision(step, args.precision, args.device)
            try:
                first_step_s, ms = measure(step, synchronize, args.runs)
            except RuntimeError as error:
                # PyTorch does not have every operation in every precision on every device.
                print(f"note: {name} is left out: {str(error).splitlines()[0]}", file=sys.stderr)
                continue
        line = {
            "peer": f"PyTorch {torch.__version__}, {args.device}",
            "workload": name,
            "precision": args.precision,
            "median_ms": statistics.median(ms),
            "min_ms": ms[0],
            "max_ms": ms[-1],
            "runs": len(ms),
        }
        if is_first:
            line["first_step_s"] = first_step_s
            is_first = False
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
