// One invocation per split of one column: for adapters where workgroup memory is slow.
#import shared/place
const SIZE: u32 = 64u;
const ROWS: u32 = 1u;

fn place_of(workgroup: u32, lane: u32) -> Place {
    let i = workgroup * SIZE + lane;
    let block = i / params.inner;
    let split = block / params.outer;
    return Place(block - split * params.outer, i - block * params.inner, split, 0u, split < params.splits);
}

/// The values of a column's invocations, combined.
fn combined_rows(x: Partial, lane: u32) -> Partial { return x; }
