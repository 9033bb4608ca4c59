#!/usr/bin/env bash
# Runs every check: formatting, lints, and all tests, on a software Vulkan adapter that it finds or installs.
#
# WGRAD_REQUIRE_GPU=0 leaves the adapter out: then the tests that need one say that they are skipped.
# VK_DRIVER_FILES or VK_ICD_FILENAMES, if set, choose the Vulkan driver in place of this script.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*"; }

fail() {
    say "error: $*" >&2
    exit 1
}

# Prints the path of lavapipe's driver file, if it is installed. One for this machine's architecture comes first.
lavapipe() {
    local folder file found=""
    for folder in /usr/share /usr/local/share /etc "${XDG_DATA_HOME:-${HOME:-/root}/.local/share}"; do
        for file in "$folder"/vulkan/icd.d/lvp_icd*.json; do
            case "$file" in
                *'*'*) ;;
                *"$(uname -m)"* | */lvp_icd.json) say "$file" && return ;;
                *) found=${found:-$file} ;;
            esac
        done
    done
    if [ -n "$found" ]; then say "$found"; fi
}

# Whether the Vulkan loader, which finds drivers, is installed.
has_loader() {
    local file
    if command -v ldconfig >/dev/null && ldconfig -p 2>/dev/null | grep -q 'libvulkan\.so\.1'; then
        return 0
    fi
    for file in /usr/lib/libvulkan.so.1 /usr/lib64/libvulkan.so.1 /usr/lib/*/libvulkan.so.1 /usr/local/lib/libvulkan.so.1; do
        if [ -e "$file" ]; then return 0; fi
    done
    return 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "installing a software Vulkan adapter takes root: run as root: $*"
    fi
}

install_lavapipe() {
    say "no software Vulkan adapter is installed: installing Mesa's"
    if command -v apt-get >/dev/null; then
        as_root apt-get update -qq
        as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends mesa-vulkan-drivers libvulkan1
    elif command -v dnf >/dev/null; then
        as_root dnf install -y -q mesa-vulkan-drivers vulkan-loader
    else
        fail "install Mesa's lavapipe and the Vulkan loader by hand and run this again:
  Arch      pacman -S vulkan-swrast vulkan-icd-loader
  Alpine    apk add mesa-vulkan-swrast vulkan-loader
  openSUSE  zypper install libvulkan_lvp libvulkan1
or run WGRAD_REQUIRE_GPU=0 $0 to leave out the tests that need an adapter"
    fi
}

choose_adapter() {
    if [ "$WGRAD_REQUIRE_GPU" != 1 ]; then
        say "adapter: none is required"
        return
    fi
    case "$(uname -s)" in
        Linux) ;;
        Darwin) say "adapter: Metal" && return ;;
        *) say "adapter: whatever this system has" && return ;;
    esac
    if [ -n "${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-}" ]; then
        say "adapter: that of ${VK_DRIVER_FILES:-$VK_ICD_FILENAMES}"
        return
    fi
    local driver
    driver=$(lavapipe)
    if [ -z "$driver" ] || ! has_loader; then
        install_lavapipe
        driver=$(lavapipe)
    fi
    [ -n "$driver" ] || fail "lavapipe was installed, but there is no lvp_icd*.json under /usr/share/vulkan/icd.d"
    # Loaders before 1.3.207 know only the second name.
    export VK_DRIVER_FILES=$driver VK_ICD_FILENAMES=$driver
    say "adapter: lavapipe ($driver)"
}

# Runs `cargo $1 …` if that component is installed, and remembers whether it failed.
status=0
component() {
    local name=$1
    if ! cargo "$name" --version >/dev/null 2>&1; then
        say "cargo $name: not installed, left out (rustup component add $name)"
        return
    fi
    say "cargo $*"
    if ! cargo "$@"; then
        say "cargo $name FAILED" >&2
        status=1
    fi
}

command -v cargo >/dev/null || fail "cargo is not installed; https://rustup.rs says how"
export WGRAD_REQUIRE_GPU=${WGRAD_REQUIRE_GPU:-1}
choose_adapter
# Mesa warns on every start where this is no folder.
if [ ! -d "${XDG_RUNTIME_DIR:-}" ]; then
    XDG_RUNTIME_DIR=$(mktemp -d)
    export XDG_RUNTIME_DIR
    trap 'rm -rf "$XDG_RUNTIME_DIR"' EXIT
fi

# Files one by one: `cargo fmt` passes over modules that a macro declares, such as the operations.
sources() { find build.rs src tests examples benches fuzz -name '*.rs' -not -path '*/target/*' -print0; }
if command -v rustfmt >/dev/null; then
    say "rustfmt --check"
    if ! sources | xargs -0 rustfmt --edition 2024 --check; then
        say "rustfmt FAILED" >&2
        status=1
    fi
else
    say "rustfmt: not installed, left out (rustup component add rustfmt)"
fi
# What a later build would reuse takes half of the disk space and a good part of the time of a first one.
target=${CARGO_TARGET_DIR:-target}
if [ ! -d "$target/debug" ]; then
    export CARGO_INCREMENTAL=${CARGO_INCREMENTAL:-0}
fi
component clippy --quiet --all-targets -- -D warnings
# One build with every feature: clippy has compiled the default features.
say "cargo test --all-features"
cargo test --all-features --no-fail-fast || status=1
exit "$status"
