"""Training on JPEG files in memory against training on files that are decoded as they are needed.

Writes the files (smooth colours with noise, in two classes) unless they are there, and trains on them in both ways in turn. Prints
samples per second, the shares of waiting, the peak resident memory and the time of all processors of each run.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

MODEL = """
batch = {batch}
steps = {steps}
steps_per_epoch = {each}
device = "gpu"

[data]
source = "{source}"
size = {size}

[model]
name = "disk"
input = [{size}, {size}, 3]

[[model.layer]]
type = "conv2d"
filters = {filters}
kernel = 5
stride = 4
activation = "relu"

[[model.layer]]
type = "conv2d"
filters = {filters}
kernel = 3
activation = "relu"

[[model.layer]]
type = "max_pool2d"
size = 4

[[model.layer]]
type = "flatten"

[[model.layer]]
type = "dense"
units = 2
"""


def write_pictures(folder, count, size):
    import numpy
    from PIL import Image

    random = numpy.random.default_rng(1)
    y, x = numpy.mgrid[0:size, 0:size] / size
    for part, number in [("train", count), ("test", max(count // 50, 2))]:
        for n in range(number):
            path = folder / part / ("a" if n % 2 else "b") / f"{n}.jpg"
            if path.exists():
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            phase = random.uniform(0, 6, (3, 2))
            waves = [numpy.sin((5 + n % 2) * x + a) * numpy.cos(6 * y + b) for a, b in phase]
            noise = random.normal(0, 12, (size, size, 3))
            pixels = 128 + 90 * numpy.stack(waves, axis=-1) + noise
            Image.fromarray(pixels.clip(0, 255).astype("uint8")).save(path, quality=90)


def train(arguments, limit):
    """The last epoch of a run, its peak memory in bytes, and the seconds of all processors."""
    with tempfile.TemporaryDirectory() as folder:
        run = pathlib.Path(folder) / "run.toml"
        each = arguments.steps // 2
        text = MODEL.format(
            batch=arguments.batch, steps=2 * each, each=each, source=arguments.pictures.resolve(), size=arguments.size,
            filters=arguments.filters,
        )
        run.write_text(text)
        command = [arguments.wgrad, "train", str(run), "--json", "--out", str(pathlib.Path(folder) / "out")]
        command += ["--set", f"data.memory_limit={limit}"] if limit else []
        with open(pathlib.Path(folder) / "lines", "w+") as lines:
            child = subprocess.Popen(command, stdout=lines)
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = status
            lines.seek(0)
            lines = [json.loads(line) for line in lines]
        if status:
            sys.exit(f"{' '.join(command)} failed")
        epochs = [line for line in lines if line["event"] == "epoch"]
        return epochs[-1], usage.ru_maxrss * 1024, usage.ru_utime + usage.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wgrad", default="target/release/wgrad")
    parser.add_argument("--pictures", type=pathlib.Path, required=True, help="folder for the files")
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--filters", type=int, default=32)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limits", nargs="+", default=["", "0"], help="values of data.memory_limit, '' for none")
    arguments = parser.parse_args()
    write_pictures(arguments.pictures, arguments.count, arguments.size)
    for _ in range(arguments.rounds):
        for limit in arguments.limits:
            epoch, peak, seconds = train(arguments, limit)
            waits = [f"{name} {epoch[name]:.1%}" for name in ["device_waited", "decoders_waited"] if name in epoch]
            print(
                f"limit {limit or 'none':>8}: {epoch['samples_per_s']:8.1f} samples/s, loss {epoch['train_loss']:.6f}, "
                f"peak {peak / 1e6:.0f} MB, {seconds:.1f} s of processors, {', '.join(waits)}",
                flush=True,
            )


if __name__ == "__main__":
    main()
