// One invocation per split of one column: for adapters where workgroup memory is slow.
const SIZE: u32 = 64u;
const ROWS: u32 = 1u;

fn place_of(workgroup: u32, lane: u32) -> Place {
    let i = workgroup * SIZE + lane;
    let block = i / params.inner;
    let split = block / params.outer;
    return Place(block - split * params.outer, i - block * params.inner, split, 0u, split < params.splits);
}

/// The sum of the values of a column's invocations.
fn sum_of_rows(x: F, lane: u32) -> F { return x; }
