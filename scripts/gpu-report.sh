#!/usr/bin/env bash
# Measures wgrad on this machine's GPU with nothing but its binary: no toolchain, no network. docs/reporting.md says what
# is measured and what is in the files. Where python3 has PyTorch with CUDA, PyTorch runs the same workloads.
set -uo pipefail
# Decimal points, whatever the user's language.
export LC_ALL=C

usage() {
    cat <<'END'
usage: scripts/gpu-report.sh [options] [WGRAD]

  WGRAD           the binary; else wgrad beside this script, target/release/wgrad, or the one in PATH
  --out FOLDER    where report.jsonl, report.json and report.md go (gpu-report)
  --adapter NAME  adapter: number or part of the name in wgrad devices (the fastest)
  --jobs N        processes of wgrad check side by side (one less than processor cores)
  --seconds N     after this time no step begins, and the last one is ended (460)
  --no-torch      leave out PyTorch
  --quick         a little of everything, to try the script: less than a minute on a software adapter
END
}

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 2
}

here=$(cd "$(dirname "$0")" && pwd)
out=gpu-report adapter="" seconds=460 quick="" torch=1 wgrad=""
jobs=$(($(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2) - 1))
[ "$jobs" != 0 ] || jobs=1
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) usage; exit 0 ;;
        --out | --adapter | --jobs | --seconds)
            [ $# -ge 2 ] || fail "$1 needs a value"
            case $1 in
                --out) out=$2 ;;
                --adapter) adapter=$2 ;;
                --jobs) jobs=$2 ;;
                --seconds) seconds=$2 ;;
            esac
            shift 2 ;;
        --quick) quick=true torch="" ; shift ;;
        --no-torch) torch="" ; shift ;;
        -*) fail "there is no option $1; see --help" ;;
        *) wgrad=$1; shift ;;
    esac
done
for number in "$jobs" "$seconds"; do
    [[ $number =~ ^[1-9][0-9]*$ ]] || fail "jobs and seconds are whole numbers above 0, not $number"
done
for candidate in "$here/wgrad" "$here/../target/release/wgrad" "$(command -v wgrad || true)"; do
    [ -n "$wgrad" ] || [ ! -x "$candidate" ] || wgrad=$candidate
done
wgrad=$(command -v "$wgrad") || fail "wgrad was not found; name its binary, or build it with cargo build --release"
"$wgrad" --version >/dev/null || fail "$wgrad does not run on this machine; build it here, or name another binary"

mkdir -p "$out" || fail "$out can't be made; name another folder with --out"
[ ! -e "$out/report.jsonl" ] || fail "$out holds a report already; name another folder with --out"
work=$(mktemp -d) || fail "no temporary folder can be made; set TMPDIR"
trap 'rm -rf "$work"' EXIT
# Caches of this report alone: the first training run finds them empty, and the user's are left as they are.
export XDG_CACHE_HOME=$work/cache MESA_SHADER_CACHE_DIR=$work/shaders __GL_SHADER_DISK_CACHE_PATH=$work/shaders
mkdir -p "$XDG_CACHE_HOME" "$MESA_SHADER_CACHE_DIR"
[ -d "${XDG_RUNTIME_DIR:-}" ] || export XDG_RUNTIME_DIR=$work

measured=$out/report.jsonl
limiter=$(command -v timeout || command -v gtimeout || true)
ends=$(($(date +%s) + seconds))

# The words as a JSON string.
string() { printf '"%s"' "$(printf '%s' "$*" | tr '\n\t' '  ' | tr -d '\000-\037' | sed 's/\\/\\\\/g; s/"/\\"/g')"; }

# Seconds, with decimals where date has them.
now() { date +%s.%N | sed 's/\.*N*$//'; }

# Makes report.json and report.md after every step, so that they exist if the script is stopped.
render() { "$wgrad" bench --report "$out" --overwrite >/dev/null; }

child=""
trap '[ -z "$child" ] || kill "$child"; render; exit 130' INT TERM

# step NAME LIMIT COMMAND...: runs a step for at most LIMIT seconds, and writes down what it printed and how it ended.
step() {
    local name=$1 limit=$2 left code begun
    shift 2
    left=$((ends - $(date +%s)))
    printf '{"begin":%s,"command":%s}\n' "$(string "$name")" "$(string "$*")" >>"$measured"
    if [ "$left" -lt 3 ]; then
        printf '{"end":%s,"exit":null,"seconds":0,"message":"no time was left"}\n' "$(string "$name")" >>"$measured"
        render
        return
    fi
    [ "$limit" -le "$left" ] || limit=$left
    printf '%s (at most %s s)\n' "$name" "$limit" >&2
    begun=$(now)
    ${limiter:+"$limiter" -k 5 "$limit"} "$@" >>"$measured" 2>"$work/err" </dev/null &
    child=$!
    wait "$child"
    code=$? child=""
    # A line that was cut off must not swallow the next one.
    [ -z "$(tail -c 1 "$measured")" ] || echo >>"$measured"
    printf '{"end":%s,"exit":%s,"seconds":%s,"message":%s}\n' "$(string "$name")" "$code" \
        "$(awk "BEGIN { printf \"%.3f\", $(now) - $begun }")" "$(string "$(tail -n 1 "$work/err" | cut -c 1-300)")" >>"$measured"
    render
}

# check_part I/N: that part of wgrad check, and a line that names the part if it did not come to its end.
check_part() {
    local file=$work/check-${1%/*} code
    "$wgrad" check --part "$1" --json ${adapter:+--adapter "$adapter"} >"$file" 2>"$file.err"
    code=$?
    [ $code -eq 0 ] || grep -q '"ok":false' "$file" ||
        printf '{"part":"%s","exit":%s,"message":%s}\n' "$1" $code "$(string "$(tail -n 1 "$file.err")")" >>"$file"
    cat "$file"
    return $code
}

# check_parts N [I...]: wgrad check in N parts, of which those that are named run, or all.
check_parts() {
    local of=$1
    shift
    printf '%s\n' ${@:-$(seq "$of")} | xargs -P "$jobs" -I{} bash -c "check_part {}/$of"
}

# memory [OPTION...]: trains with these options and prints the largest resident memory of the process.
memory() {
    local peak=0 kib pid
    "$wgrad" train "$@" --out "$work/run-memory" ${adapter:+--adapter "$adapter"} >/dev/null &
    pid=$!
    while kill -0 $pid 2>/dev/null; do
        kib=$(awk '/^VmHWM/ { print $2 }' "/proc/$pid/status" 2>/dev/null)
        [ "${kib:-0}" -le "$peak" ] || peak=$kib
        sleep 0.05
    done
    wait $pid && [ "$peak" -gt 0 ] && printf '{"host_peak_kib":%s}\n' "$peak"
}

cuda() { python3 -c 'import sys, torch; sys.exit(0 if torch.cuda.is_available() else "PyTorch finds no CUDA device")'; }

# Steps that are functions run in a shell of their own, which a time limit can end.
export wgrad work adapter jobs
export -f string check_part check_parts memory cuda

# run NAME LIMIT COMMAND [OPTION...]: a step that is a command of wgrad.
run() {
    local name=$1 limit=$2 command=$3
    shift 3
    step "$name" "$limit" "$wgrad" "$command" --json ${adapter:+--adapter "$adapter"} "$@"
}

cores=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo null)
nvidia=$(nvidia-smi --query-gpu=name,driver_version --format=csv,noheader 2>/dev/null | head -n 1)
printf '{"machine":{"system":%s,"cores":%s,"wgrad":%s,"nvidia_smi":%s,"date":"%s","quick":%s}}\n' "$(string "$(uname -sm)")" \
    "$cores" "$(string "$("$wgrad" --version)")" "$(string "$nvidia")" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "${quick:-false}" >"$measured"

step devices 20 "$wgrad" devices --json
if [ -n "$quick" ]; then
    run 'train cold' 60 train mlp --out "$work/run-cold" --steps 5
    step check 60 bash -c 'check_parts 120 1'
    run bench 60 bench softmax_cross_entropy_128x10 --runs 3
    run 'bench mixed' 60 bench softmax_cross_entropy_128x10 --runs 3 --precision mixed
    step memory 60 bash -c 'memory mlp --steps 5'
else
    run 'train cold' 60 train --out "$work/run-cold"
    run 'train warm' 40 train --out "$work/run-warm"
    step check 150 bash -c 'check_parts 80'
    run bench 110 bench
    run 'bench mixed' 40 bench matmul conv2d train --runs 3 --precision mixed
    run tune 60 tune mnist-cnn
    run 'train tuned' 40 train --out "$work/run-tuned"
    step memory 30 bash -c 'memory --steps 50'
    run doctor 60 doctor
fi
if [ -n "$torch" ]; then
    bench=$here/torch_bench.py
    [ -f "$bench" ] || bench=$here/../benches/peers/torch_bench.py
    step pytorch 40 bash -c cuda
    if tail -n 1 "$measured" | grep -q '"exit":0,'; then
        step 'pytorch float32' 70 python3 "$bench" --device cuda
        for precision in tf32 float16 bfloat16; do
            step "pytorch $precision" 50 python3 "$bench" --device cuda --precision $precision matmul conv2d attention train
        done
    fi
fi
printf 'report: %s, %s\n' "$out/report.md" "$out/report.json"
