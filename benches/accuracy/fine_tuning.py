"""What a masked language model is worth where there are few labels: it is trained on all texts without their labels, and a classifier
with its body on some of the labels, from its weights and from scratch, by the same recipe.

    python benches/accuracy/fine_tuning.py target/release/wgrad FOLDER runs/fine-tuning

FOLDER holds train.csv and test.csv with the columns `label` and `text`. The masked language model sees the texts of train.csv alone.
For each seed, LABELS rows of train.csv are drawn, and both classifiers are trained on them; the accuracy is that of the last epoch on
the whole of test.csv, so that no epoch is chosen by it. A run that is there already is not made again.
"""

import argparse
import csv
import json
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def subset(source: Path, folder: Path, labels: int, seed: int) -> None:
    """Writes `labels` rows of the training part, drawn by the seed, and the whole test part into `folder`."""
    with open(source / "train.csv", newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "train.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *random.Random(seed).sample(rows, labels)])
    (folder / "test.csv").write_bytes((source / "test.csv").read_bytes())


def train(wgrad: str, out: Path, *options: str) -> list[dict]:
    """Trains a run, unless it is there, and returns what it printed: a dictionary for each line."""
    log = out.with_suffix(".jsonl")
    if not log.exists():
        began = time.monotonic()
        done = subprocess.run([wgrad, "train", *options, "--out", out, "--json"], stdout=subprocess.PIPE, check=True, text=True)
        print(f"{out.name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        log.write_text(done.stdout)
    return [json.loads(line) for line in log.read_text().splitlines()]


def last(lines: list[dict], key: str) -> float:
    """The value of `key` after the last epoch."""
    return [line[key] for line in lines if "epoch" in line and key in line][-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wgrad")
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--labels", type=int, default=500)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)

    body = given.out / "bert"
    lines = train(given.wgrad, body, str(EXAMPLES / "masked-language-model.toml"), "--data", str(given.data / "train.csv"))
    print(f"masked language model: perplexity {last(lines, 'test_perplexity'):.2f}, accuracy {100 * last(lines, 'test_accuracy'):.2f}%")

    found: dict[str, list[float]] = {"fine-tuned": [], "from scratch": []}
    for seed in range(1, given.seeds + 1):
        folder = given.out / f"data-{given.labels}-{seed}"
        subset(given.data, folder, given.labels, seed)
        common = [str(EXAMPLES / "fine-tuning.toml"), "--data", str(folder), "--seed", str(seed)]
        common += ["--set", f"data.tokenizer={body}"]
        for name, options in [("fine-tuned", ["--init", str(body / "best.safetensors")]), ("from scratch", [])]:
            out = given.out / f"{name.replace(' ', '-')}-{given.labels}-{seed}"
            accuracy = last(train(given.wgrad, out, *common, *options), "test_accuracy")
            found[name].append(accuracy)
            print(f"{name}, seed {seed}: {100 * accuracy:.2f}%", flush=True)
    for name, values in found.items():
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        print(f"{name}: mean {100 * statistics.mean(values):.2f}%, standard deviation {100 * spread:.2f}, {given.labels} labels")


if __name__ == "__main__":
    main()
