"""Prints a markdown table from the JSON lines of several rounds: the median of each program's rounds, and ratios.

usage: table.py FOLDER      with wgrad-*.jsonl and, of the others, NAME-*.jsonl, a file a round
"""

import json
import statistics
import sys
from pathlib import Path


def read(folder):
    """Medians of the rounds by program and workload, and the order in which workloads came."""
    rounds, order, titles = {}, [], {}
    for path in sorted(folder.glob("*-*.jsonl")):
        program = path.stem.rsplit("-", 1)[0]
        for number, line in enumerate(path.read_text().splitlines(), 1):
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                sys.exit(f"error: {path}, line {number} is not JSON; remove the file and run that round again")
            if "median_ms" not in record or "step" in record:
                continue
            workload = record["workload"]
            if workload not in order:
                order.append(workload)
            rounds.setdefault(program, {}).setdefault(workload, []).append(record["median_ms"])
            titles.setdefault(program, record.get("peer") or f"wgrad, {record['adapter']}")
    return rounds, order, titles


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    rounds, order, titles = read(Path(sys.argv[1]))
    if "wgrad" not in rounds:
        sys.exit(f"error: {sys.argv[1]} has no results of wgrad (wgrad-1.jsonl, ...)")
    others = [program for program in rounds if program != "wgrad"]
    print("Milliseconds, the median of the rounds' medians, with the lowest and the highest of them; ")
    print("ratios above 1 mean that wgrad is faster.\n")
    head = ["workload", titles["wgrad"]]
    for program in others:
        head += [titles[program], f"{program} / wgrad"]
    print("| " + " | ".join(head) + " |")
    print("|---|" + "---|" * (len(head) - 1))

    def cell(ms):
        spread = f" ({min(ms):.3g} to {max(ms):.3g})" if len(ms) > 1 else ""
        return f"{statistics.median(ms):.3g}{spread}"

    for workload in order:
        ours = rounds["wgrad"].get(workload)
        if ours is None:
            continue
        row = [f"`{workload}`", cell(ours)]
        for program in others:
            theirs = rounds[program].get(workload)
            if theirs is None:
                row += ["", ""]
            else:
                ratio = statistics.median(theirs) / statistics.median(ours)
                row += [cell(theirs), f"{ratio:.2f}"]
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
