// How the samples and units of one step of a recurrent layer are shared out: an invocation has 4 samples and UNITS F of units,
// and reads the states of its samples itself. For any adapter.
const ROWS = 4u;
const UNITS = 1u;
const INVOCATIONS = 64u;

/// The first sample of an invocation, and its first unit. A workgroup has 8 of the one by 8 of the other.
fn share_at(workgroup: u32, lane: u32) -> vec2<u32> {
    let row = divide(workgroup, params.column_tiles);
    let column = workgroup - row * params.column_tiles;
    return vec2<u32>((8u * row + lane / 8u) * ROWS, 8u * column + lane % 8u);
}

/// What an invocation holds of position k of the states, and from that the value of its sample number `r`.
fn held(first: u32, lane: u32, k: u32) -> F { return F(0.0); }
fn row_value(held: F, first: u32, r: u32, k: u32) -> F { return state_at(first + r, k); }
