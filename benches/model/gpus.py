"""Occupancy and lower bounds of time for four workloads on five GPUs, from data sheets: the tables of docs/gpu-model.md.

    python3 benches/model/gpus.py
"""

from dataclasses import dataclass


@dataclass
class Gpu:
    """Of one unit: an SM of NVIDIA, a CU of AMD, a core of Apple or Intel."""

    name: str
    units: int
    ghz: float
    # Multiply-adds in 32 bits per clock and unit.
    fma: int
    # TFLOP/s of matrix units, 16-bit operands and 32-bit sums, dense.
    matrix: float
    # GB/s of device memory.
    bandwidth: float
    # 32-bit registers, bytes of workgroup memory, and invocations that fit into a unit at a time.
    registers: int
    shared: int
    invocations: int
    # Bytes of workgroup memory per clock and unit.
    shared_width: int
    subgroup: int

    @property
    def peak(self) -> float:
        """TFLOP/s in 32 bits."""
        return self.units * self.fma * 2 * self.ghz / 1e3


KIB = 1024
GPUS = [
    Gpu("H100 SXM", 132, 1.755, 128, 989, 3350, 65536, 228 * KIB, 2048, 128, 32),
    Gpu("RTX 4090", 128, 2.52, 128, 165, 1008, 65536, 100 * KIB, 1536, 128, 32),
    Gpu("M3, 10 cores", 10, 1.38, 128, 3.5, 100, 53248, 60 * KIB, 1024, 128, 32),
    Gpu("RX 7900 XTX", 96, 2.5, 128, 122.8, 960, 98304, 64 * KIB, 1024, 128, 32),
    Gpu("Arc A770", 32, 2.1, 128, 137.6, 560, 131072, 128 * KIB, 2048, 128, 16),
]


@dataclass
class Tile:
    """A workgroup of 256 invocations of the tiled contraction."""

    side: int
    # Outputs of an invocation along each side, and registers as a compiler is expected to use them.
    outputs: int
    registers: int
    shared: int = 16 * KIB
    invocations: int = 256


TILES = [Tile(64, 4, 64), Tile(128, 8, 128)]


def occupancy(gpu: Gpu, tile: Tile) -> int:
    """Workgroups that a unit holds at a time."""
    return min(
        gpu.registers // (tile.registers * tile.invocations),
        gpu.shared // tile.shared,
        gpu.invocations // tile.invocations,
    )


def shared_share(gpu: Gpu, tile: Tile) -> float:
    """Clocks of reading workgroup memory over clocks of multiply-adds, if equal addresses of a subgroup are read once.

    At each k a subgroup of 32 reads 2 different groups of rows and 16 of columns per block; a group is 4 numbers of 32 bits.
    """
    blocks = tile.outputs // 4
    rows = max(gpu.subgroup // 16, 1)
    columns = min(gpu.subgroup, 16)
    reads = blocks * sum(max(1, -(-lines * 16 // gpu.shared_width)) for lines in (rows, columns))
    return reads / (gpu.subgroup * tile.outputs**2 / gpu.fma)


@dataclass
class Work:
    name: str
    gflop: float
    # Megabytes that must be read and written once.
    mb: float
    # Whether the multiply-adds are products that matrix units compute.
    products: bool = True


def matmul(n: int) -> Work:
    return Work(f"matmul {n}", 2 * n**3 / 1e9, 3 * 4 * n * n / 1e6)


def conv3x3(batch: int, side: int, channels: int) -> list[Work]:
    pixels = batch * side * side
    direct = 2 * pixels * channels * channels * 9 / 1e9
    mb = 2 * 4 * pixels * channels / 1e6
    return [
        Work(f"conv 3x3, {channels} channels, batch {batch}, {side}x{side}, direct", direct, mb),
        Work("the same, Winograd F(4x4, 3x3)", direct / 4, mb),
    ]


def attention(batch: int, heads: int, time: int, width: int) -> Work:
    rows = batch * heads * time
    return Work(f"attention {batch}x{heads}x{time}x{width}", 4 * rows * time * width / 1e9, 4 * 4 * rows * width / 1e6)


# The GPT of the benches: what `wgrad bench gpt_train_b8 --json` counts.
WORKLOADS = [matmul(4096), *conv3x3(64, 32, 64), attention(8, 16, 1024, 64), Work("GPT step (`gpt_train_b8`)", 5.35, 278)]


def table(head: list[str], rows: list[list[str]]) -> None:
    for row in [head, ["---"] * len(head), *rows]:
        print("| " + " | ".join(row) + " |")
    print()


def main() -> None:
    rows = []
    for gpu in GPUS:
        row = [gpu.name, f"{gpu.peak:.1f}", f"{gpu.matrix:g}", f"{gpu.bandwidth:g}"]
        row.append(f"{gpu.peak * 1e3 / gpu.bandwidth:.0f}")
        for tile in TILES:
            groups = occupancy(gpu, tile)
            tiles = (4096 // tile.side) ** 2
            waves = tiles / (groups * gpu.units) if groups else 0
            row.append(f"{groups} ({groups * tile.invocations / gpu.invocations:.0%})")
            row.append(f"{waves:.1f}")
            row.append(f"{shared_share(gpu, tile):.0%}")
        rows.append(row)
    head = ["GPU", "f32, TFLOP/s", "f16 matrices, TFLOP/s", "GB/s", "FLOP per byte"]
    for tile in TILES:
        head += [f"workgroups of tile {tile.side} per unit", "waves of matmul 4096", "workgroup memory / multiply-adds"]
    table(head, rows)
    rows = []
    for work in WORKLOADS:
        row = [work.name, f"{work.gflop:.1f}", f"{work.mb:.0f}"]
        for gpu in GPUS:
            compute, memory = work.gflop / gpu.peak, work.mb / gpu.bandwidth
            bound = "c" if compute > memory else "m"
            matrices = max(work.gflop / gpu.matrix, memory)
            row.append(f"{max(compute, memory):.3g} {bound}, {matrices:.3g}")
        rows.append(row)
    table(["workload", "GFLOP", "MB", *(f"{gpu.name}, ms" for gpu in GPUS)], rows)


if __name__ == "__main__":
    main()
