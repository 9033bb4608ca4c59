// Division of the samples and units of one step of a recurrent layer, for subgroups of 8: a workgroup is one subgroup
// and handles 8 samples. Each lane reads the state of one sample and shares it by subgroupShuffle from a literal lane.
// The functions are those of shared/recurrent_rows_direct.
const INVOCATIONS = 8u;
const SLICES = 1u;
fn first_product(lane: u32) -> u32 { return 0u; }

struct Rows {
    r0: Sums,
    r1: Sums,
    r2: Sums,
    r3: Sums,
    r4: Sums,
    r5: Sums,
    r6: Sums,
    r7: Sums,
}

fn share_at(workgroup: u32, lane: u32) -> vec2<u32> {
    let row = divide(workgroup, params.column_tiles);
    return vec2<u32>(8u * row, params.tile_units * (workgroup - row * params.column_tiles) + lane);
}

/// Adds the products of position k of the states.
fn add_rows(rows: Rows, first: u32, lane: u32, k: u32, w: Columns) -> Rows {
    let own = state_at(first + lane, k);
    return Rows(
        add_products(rows.r0, subgroupShuffle(own, 0u), w),
        add_products(rows.r1, subgroupShuffle(own, 1u), w),
        add_products(rows.r2, subgroupShuffle(own, 2u), w),
        add_products(rows.r3, subgroupShuffle(own, 3u), w),
        add_products(rows.r4, subgroupShuffle(own, 4u), w),
        add_products(rows.r5, subgroupShuffle(own, 5u), w),
        add_products(rows.r6, subgroupShuffle(own, 6u), w),
        add_products(rows.r7, subgroupShuffle(own, 7u), w));
}

fn finish_rows(rows: Rows, first: u32, u: u32, lane: u32) {
    finish(first, u, rows.r0);
    finish(first + 1u, u, rows.r1);
    finish(first + 2u, u, rows.r2);
    finish(first + 3u, u, rows.r3);
    finish(first + 4u, u, rows.r4);
    finish(first + 5u, u, rows.r5);
    finish(first + 6u, u, rows.r6);
    finish(first + 7u, u, rows.r7);
}
