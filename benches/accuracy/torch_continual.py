"""Continual learning on permuted MNIST in PyTorch, by the recipe of examples/permuted-mnist.toml.

    python torch_continual.py FOLDER [--method fine_tuning|ewc|replay] [--strength N] [--memory N] [--samples N] [--epochs N]
                                     [--tasks N] [--lr N] [--seed N] [--threads N]

FOLDER holds the four IDX files of MNIST. A network of 784-256-256-10 learns one permutation of the pixels after another, each from the
weights of the one before and with a new Adam. Printed after each is the test accuracy on all permutations so far, and their mean.

- fine_tuning: nothing else.
- ewc: elastic weight consolidation (Kirkpatrick et al. 2017), `strength / 2 sum F (w - w*)^2` for every earlier permutation, with the
  squared gradients of the loss of `samples` single training images as F.
- replay: half of every batch are images of earlier permutations, `memory` of each, equally many of each class.

Needs torch and numpy.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call, grad, vmap

from torch_data import load_idx


def network():
    return nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10))


def importance(model, images, labels):
    """The mean of the squared gradients of the losses of single images."""
    weights = {name: weight.detach() for name, weight in model.named_parameters()}

    def loss(weights, image, label):
        return F.cross_entropy(functional_call(model, weights, (image[None],)), label[None])

    total = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    for at in range(0, len(images), 50):
        grads = vmap(grad(loss), (None, 0, 0))(weights, images[at : at + 50], labels[at : at + 50])
        for name, each in grads.items():
            total[name] += each.square().sum(0)
    return {name: sum / len(images) for name, sum in total.items()}


def balanced(labels, count):
    """The indices of `count` samples, equally many of each class."""
    each = [np.random.permutation(np.flatnonzero(labels == digit))[: -(-count // 10)] for digit in range(10)]
    return np.stack(each, 1).reshape(-1)[:count]


def accuracy(model, images, labels):
    with torch.no_grad():
        return (model(images).argmax(1) == labels).float().mean().item()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--method", choices=["fine_tuning", "ewc", "replay"], default="ewc")
    parser.add_argument("--strength", type=float, default=100.0)
    parser.add_argument("--memory", type=int, default=1000)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--tasks", type=int, default=5)
    parser.add_argument("--lr", type=float, default=0.001)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    np.random.seed(arguments.seed)

    parts = load_idx(arguments.folder)
    pixels = parts["train"][0].reshape(-1, 784).astype(np.float32) / 255
    mean, std = pixels.mean(), pixels.std()

    def part(name):
        images, labels = parts[name]
        images = (images.reshape(-1, 784).astype(np.float32) / 255 - mean) / std
        return torch.from_numpy(images), torch.from_numpy(labels.astype(np.int64))

    (images, labels), (test_images, test_labels) = part("train"), part("test")
    orders = [torch.from_numpy(np.random.RandomState(1000 + task).permutation(784)) for task in range(arguments.tasks)]
    model = network()
    held, memory = [], []
    for task, order in enumerate(orders):
        own = images[:, order]
        optimizer = torch.optim.Adam(model.parameters(), arguments.lr)
        replayed = arguments.method == "replay" and task > 0
        if replayed:
            kept_images, kept_labels = (torch.cat(each) for each in zip(*memory))
        for _ in range(arguments.epochs):
            # As many steps as all samples fill, replayed ones included.
            count = len(own) + (len(kept_images) if replayed else 0)
            of_batch = arguments.batch // 2 if replayed else 0
            fresh, old = torch.randperm(len(own)), torch.randperm(len(kept_images)) if replayed else None
            at_fresh = at_old = 0
            for start in range(0, count, arguments.batch):
                size = min(arguments.batch, count - start)
                new = fresh[torch.arange(at_fresh, at_fresh + max(size - of_batch, 0)) % len(fresh)]
                at_fresh += len(new)
                x, y = own[new], labels[new]
                if replayed:
                    again = old[torch.arange(at_old, at_old + min(of_batch, size)) % len(old)]
                    at_old += len(again)
                    x, y = torch.cat([kept_images[again], x]), torch.cat([kept_labels[again], y])
                loss = F.cross_entropy(model(x), y)
                for weights, important in held:
                    moved = ((important[name] * (w - weights[name]).square()).sum() for name, w in model.named_parameters())
                    loss = loss + arguments.strength / 2 * sum(moved)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        if arguments.method == "ewc":
            chosen = torch.randperm(len(own))[: arguments.samples]
            weights = {name: weight.detach().clone() for name, weight in model.named_parameters()}
            held.append((weights, importance(model, own[chosen], labels[chosen])))
        if arguments.method == "replay":
            chosen = torch.from_numpy(balanced(labels.numpy(), arguments.memory))
            memory.append((own[chosen], labels[chosen]))
        found = [accuracy(model, test_images[:, order], test_labels) for order in orders[: task + 1]]
        shown = "  ".join(f"{100 * each:.2f}%" for each in found)
        print(f"after {task + 1}: {shown}  mean {100 * np.mean(found):.2f}%", flush=True)


if __name__ == "__main__":
    main()
