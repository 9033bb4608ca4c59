"""The pictures of a wgrad run for PyTorch: training and evaluated part as (bytes [N, C, H, W], labels [N])."""

import gzip
import sys
from pathlib import Path

import numpy as np
import torch


def idx(folder, name):
    """The array of an IDX file of bytes, plain or gzipped."""
    path = folder / name
    content = path.read_bytes() if path.exists() else gzip.decompress((folder / f"{name}.gz").read_bytes())
    rank = content[3]
    shape = np.frombuffer(content, ">u4", rank, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape)


def load_idx(folder):
    def part(name):
        return idx(folder, f"{name}-images-idx3-ubyte")[:, None], idx(folder, f"{name}-labels-idx1-ubyte")

    return {"train": part("train"), "test": part("t10k")}


def load_cifar(folder):
    def part(pattern):
        files = [np.fromfile(path, np.uint8) for path in sorted(folder.glob(pattern))]
        records = np.concatenate(files).reshape(-1, 3073)
        return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0]

    return {"train": part("data_batch_*.bin"), "test": part("test_batch.bin")}


def load_npz(path):
    """An archive with MedMNIST's names."""
    archive = np.load(path)

    def part(name):
        images = archive[f"{name}_images"]
        images = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
        return images, archive[f"{name}_labels"].reshape(-1)

    return {"train": part("train"), "validation": part("val"), "test": part("test")}


def load(settings):
    """What the table [data] of a run says."""
    source = Path(settings["source"])
    if settings.get("folds"):
        sys.exit("folds are dealt by wgrad alone; take a run of the whole training part")
    if source.suffix == ".npz":
        parts = load_npz(source)
    elif any(source.glob("data_batch_*.bin")):
        parts = load_cifar(source)
    elif any(source.glob("*-ubyte*")):
        parts = load_idx(source)
    else:
        sys.exit(f"{source} holds no IDX files, CIFAR-10 batches or NumPy archive")

    def tensors(part):
        images, labels = parts[part]
        return torch.from_numpy(np.ascontiguousarray(images)), torch.from_numpy(labels.astype(np.int64))

    return tensors("train"), tensors(settings["evaluate"])
