"""Trains a classifier of Adult with three seeds by each way to treat women and men alike, and writes what docs/fairness.md shows:
`python fairness.py WGRAD ADULT FOLDER`, where WGRAD is the program and ADULT the folder of train.csv and test.csv. Runs and
`fairness.svg`, the trade-off between accuracy and the gap, are written into FOLDER."""

import json
import pathlib
import statistics
import subprocess
import sys

wgrad, data, folder = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
example = pathlib.Path(__file__).parents[2] / "examples" / "adult-fairness.toml"
seeds = [1, 2, 3]
gaps = ["equalized_odds_difference", "demographic_parity_difference"]


def lines(*arguments):
    done = subprocess.run([wgrad, *arguments, "--json"], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


def trained(name, seed, *settings):
    run = folder / f"{name}-{seed}"
    if not (run / "best.safetensors").exists():
        sets = [part for setting in settings for part in ("--set", setting)]
        lines("train", str(example), "--data", data, "--seed", str(seed), "--out", str(run), *sets)
    return run


def judged(run):
    found = lines("eval", str(run), "--last", "--groups", "sex")
    gap = next(line for line in found if line.get("event") == "fairness")
    return [found[0]["test_accuracy"], *(gap[name] for name in gaps)]


tasks = {
    "plain": ["task={ name = \"classification\" }"],
    "reweighing": ["task={ name = \"reweighing\" }"],
    "gap penalty": ["task={ name = \"gap_penalty\", strength = 2.0 }"],
    "adversary": ["task={ name = \"adversarial_debiasing\", strength = 0.3 }"],
}
results = {}
for name, settings in tasks.items():
    runs = [trained(name.replace(" ", "-"), seed, *settings) for seed in seeds]
    for run in runs:
        lines("thresholds", str(run), "--remove")
    results[name] = [judged(run) for run in runs]
    if name in ("plain", "gap penalty"):
        for run in runs:
            lines("thresholds", str(run), "--last", "--groups", "sex", "--part", "train")
        results[f"{name}, thresholds"] = [judged(run) for run in runs]

points = []
for name, each in results.items():
    mean = [statistics.mean(values) for values in zip(*each)]
    shown = [", ".join(f"{value:.4f}" for value in values) for values in zip(*each)]
    print(f"| {name} | {100 * mean[0]:.2f}% ({shown[0]}) | {mean[1]:.4f} ({shown[1]}) | {mean[2]:.4f} |", flush=True)
    points.append((name, mean[1], mean[0]))

# The trade-off as a picture: to the left the gap is smaller, above the accuracy is higher.
width, height, left, bottom = 560, 340, 70, 50
most = 1.15 * max(gap for _, gap, _ in points)
low = min(accuracy for *_, accuracy in points) - 0.003
high = max(accuracy for *_, accuracy in points) + 0.002
across = lambda gap: left + gap / most * (width - left - 110)
up = lambda accuracy: height - bottom - (accuracy - low) / (high - low) * (height - bottom - 20)
svg = [
    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
    f'<rect width="{width}" height="{height}" fill="white"/>',
    f'<path d="M{left} 15V{height - bottom}H{width - 20}" fill="none" stroke="#666"/>',
    f'<text x="{(left + width) / 2}" y="{height - 10}" text-anchor="middle">equalized odds difference between women and men</text>',
    f'<text transform="translate(16 {height / 2}) rotate(-90)" text-anchor="middle">accuracy on the test part</text>',
]
for tick in range(0, int(most / 0.02) + 1):
    svg.append(f'<text x="{across(0.02 * tick):.1f}" y="{height - bottom + 18}" text-anchor="middle">{0.02 * tick:.2f}</text>')
for tick in range(int(200 * low) + 1, int(200 * high) + 1):
    svg.append(f'<text x="{left - 6}" y="{up(tick / 200) + 4:.1f}" text-anchor="end">{tick / 2:.1f}%</text>')
lowest = 0
for name, gap, accuracy in sorted(points, key=lambda point: -point[2]):
    # Names below each other, also where dots are close.
    lowest = max(lowest + 14, up(accuracy) + 4)
    svg.append(f'<circle cx="{across(gap):.1f}" cy="{up(accuracy):.1f}" r="5" fill="#0b5fb0"/>')
    svg.append(f'<text x="{across(gap) + 9:.1f}" y="{lowest:.1f}">{name}</text>')
(folder / "fairness.svg").write_text("\n".join([*svg, "</svg>"]) + "\n")
