// Division of the samples and units of one step of a recurrent layer, for any adapter: an invocation handles 4 samples
// and reads their states itself.
#import shared/recurrent_four_rows
const INVOCATIONS = 64u;
// Slices of the sum over the states: an invocation adds every SLICES-th product, from the first of its slice on.
const SLICES = 1u;
fn first_product(lane: u32) -> u32 { return 0u; }

/// The first sample of an invocation, and its first unit. A workgroup handles 32 samples and 8 F of units.
fn share_at(workgroup: u32, lane: u32) -> vec2<u32> {
    let row = divide(workgroup, params.column_tiles);
    return vec2<u32>(32u * row + 4u * (lane / 8u), 8u * (workgroup - row * params.column_tiles) + lane % 8u);
}

/// Finishes what the sums of an invocation complete. Control flow must be uniform where it is called.
fn finish_rows(rows: Rows, first: u32, u: u32, lane: u32) {
    finish(first, u, rows.r0);
    finish(first + 1u, u, rows.r1);
    finish(first + 2u, u, rows.r2);
    finish(first + 3u, u, rows.r3);
}
