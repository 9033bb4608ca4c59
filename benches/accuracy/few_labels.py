"""What features learned without classes are worth where there are few: a linear probe and fine-tuning of the same network from random
weights, from contrastive learning, and from a masked autoencoder.

    python benches/accuracy/few_labels.py target/release/wgrad FOLDER runs/few-labels

FOLDER holds the IDX files of Fashion-MNIST. Both kinds of features are learned once, from all training images without their classes
(examples/contrastive.toml, examples/masked-encoder.toml). Then examples/probe.toml is trained with SHARE of the labels, chosen by the
seed: with all weights but those of the last layer frozen, and with all of them trained. The accuracy is that of the last epoch on the
whole test part, so that no epoch is chosen by it. A run that is there already is not made again.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
# Of samples without classes there are enough; of those with them, epochs are short.
EPOCHS = {0.01: 40, 0.1: 12}


def train(wgrad: str, out: Path, *options: str) -> list[dict]:
    """Trains a run, unless it is there, and returns what it printed: a dictionary for each line."""
    log = out.parent / f"{out.name}.jsonl"
    if not log.exists():
        began = time.monotonic()
        done = subprocess.run([wgrad, "train", *options, "--out", out, "--json"], stdout=subprocess.PIPE, check=True, text=True)
        print(f"{out.name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        log.write_text(done.stdout)
    return [json.loads(line) for line in log.read_text().splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wgrad")
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    data = ["--data", str(given.data)]
    starts = {"random": None}
    for name, file in [("contrastive", "contrastive.toml"), ("masked", "masked-encoder.toml")]:
        starts[name] = given.out / name
        train(given.wgrad, starts[name], str(EXAMPLES / file), *data)
    for share, epochs in EPOCHS.items():
        for start, folder in starts.items():
            for way in ["probe", "fine-tuning"]:
                found = []
                for seed in range(1, given.seeds + 1):
                    options = [str(EXAMPLES / "probe.toml"), *data, "--epochs", str(epochs), "--seed", str(seed)]
                    options += ["--set", f"data.labelled={share}"]
                    if folder:
                        options += ["--init", str(folder / "model.safetensors")]
                    if way == "fine-tuning":
                        options += ["--set", "freeze=[]", "--lr", "0.002"]
                    out = given.out / f"{start}-{way}-{share}-{seed}"
                    lines = train(given.wgrad, out, *options)
                    found.append([line["test_accuracy"] for line in lines if line.get("event") == "epoch"][-1])
                mean, apart = statistics.mean(found), statistics.stdev(found) if len(found) > 1 else 0.0
                print(f"{share:.0%} of the labels, {start}, {way}: {mean:.2%}, standard deviation {apart:.2%}", flush=True)


if __name__ == "__main__":
    main()
