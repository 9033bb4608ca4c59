#!/usr/bin/env bash
# Times wgrad, PyTorch and, if asked for, burn on the same workloads, in turn for several rounds, and prints a table.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

usage() {
    cat <<'END'
usage: benches/peers/run.sh [options] [WORKLOAD...]

  WORKLOAD          only workloads whose names contain one of these (wgrad bench --list); all if none is given
  --rounds N        rounds, each of which runs every program once (3)
  --runs N          runs that a round takes the median of (9)
  --adapter NAME    wgrad's adapter: number or part of the name in wgrad devices
  --torch-device D  PyTorch's device: cpu, cuda or mps (cpu)
  --python PATH     a Python that has torch, in place of making one
  --burn BACKENDS   burn as well, on wgpu, flex, or wgpu,flex; builds it first (20 to 50 minutes on two cores)
  --out FOLDER      where results go (target/peers)
END
}

rounds=3 runs=9 adapter="" torch_device=cpu python="" burn="" out=$root/target/peers
filters=()
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) usage; exit 0 ;;
        --rounds | --runs | --adapter | --torch-device | --python | --burn | --out)
            [ $# -ge 2 ] || { echo "error: $1 needs a value" >&2; exit 2; }
            case $1 in
                --rounds) rounds=$2 ;;
                --runs) runs=$2 ;;
                --adapter) adapter=$2 ;;
                --torch-device) torch_device=$2 ;;
                --python) python=$2 ;;
                --burn) burn=$2 ;;
                --out) out=$2 ;;
            esac
            shift 2 ;;
        -*) echo "error: there is no option $1; see --help" >&2; exit 2 ;;
        *) filters+=("$1"); shift ;;
    esac
done
for number in "$rounds" "$runs"; do
    [[ $number =~ ^[1-9][0-9]*$ ]] || { echo "error: rounds and runs are whole numbers above 0, not $number" >&2; exit 2; }
done

mkdir -p "$out"
rm -f "$out"/*.jsonl
target=${CARGO_TARGET_DIR:-$root/target}

(cd "$root" && cargo build --release)
wgrad=("$target/release/wgrad" bench --json --runs "$runs")
[ -z "$adapter" ] || wgrad+=(--adapter "$adapter")

if [ -z "$python" ]; then
    python=$out/venv/bin/python
    if [ ! -x "$python" ]; then
        python3 -m venv "$out/venv"
        "$python" -m pip install --quiet torch numpy
    fi
fi
torch=("$python" "$here/torch_bench.py" --device "$torch_device" --runs "$runs")

if [ -n "$burn" ]; then
    (cd "$here/burn" && CARGO_TARGET_DIR=$out/burn-target cargo build --release)
fi

for round in $(seq "$rounds"); do
    echo "round $round of $rounds" >&2
    "${wgrad[@]}" ${filters[@]+"${filters[@]}"} >"$out/wgrad-$round.jsonl"
    "${torch[@]}" ${filters[@]+"${filters[@]}"} >"$out/pytorch-$round.jsonl"
    for backend in ${burn//,/ }; do
        "$out/burn-target/release/peer-burn" --backend "$backend" --runs "$runs" \
            ${filters[@]+"${filters[@]}"} >"$out/burn_$backend-$round.jsonl"
    done
done
"$python" "$here/table.py" "$out" | tee "$out/table.md"
