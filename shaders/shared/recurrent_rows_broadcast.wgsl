// How the samples and units of one step of a recurrent layer are shared out, for subgroups of 8: a workgroup is one
// subgroup and has 8 samples; each lane reads the state of one of them and hands it on by subgroupShuffle. The functions
// are those of shared/recurrent_rows_direct.
const ROWS = 8u;
const UNITS = 4u;
const INVOCATIONS = 8u;

fn share_at(workgroup: u32, lane: u32) -> vec2<u32> {
    let row = divide(workgroup, params.column_tiles);
    return vec2<u32>(ROWS * row, (workgroup - row * params.column_tiles) * params.tile_units + lane);
}

fn held(first: u32, lane: u32, k: u32) -> F { return state_at(first + lane, k); }
fn row_value(held: F, first: u32, r: u32, k: u32) -> F { return subgroupShuffle(held, r); }
