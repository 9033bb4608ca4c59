// Division of the samples and units of one step of a recurrent layer, for adapters that need many invocations: 8
// invocations share the sum over the states of 4 samples and combine their parts in workgroup memory. A workgroup
// handles 4 samples and 8 F of units. The functions are those of shared/recurrent_rows_direct.
#import shared/recurrent_four_rows
const INVOCATIONS = 64u;
const SLICES = 8u;
fn first_product(lane: u32) -> u32 { return lane / 8u; }

// The sums of one sample of each invocation.
var<workgroup> parts: array<Sums, INVOCATIONS>;

fn share_at(workgroup: u32, lane: u32) -> vec2<u32> {
    let row = divide(workgroup, params.column_tiles);
    return vec2<u32>(4u * row, 8u * (workgroup - row * params.column_tiles) + lane % 8u);
}

/// The sum of the 8 invocations of a unit, in the order of their slices.
fn total(own: Sums, lane: u32) -> Sums {
    // The sums of the previous sample must have been read.
    workgroupBarrier();
    parts[lane] = own;
    workgroupBarrier();
    var sum = parts[lane % 8u];
    for (var slice = 1u; slice < SLICES; slice += 1u) {
        sum = add_sums(sum, parts[8u * slice + lane % 8u]);
    }
    return sum;
}

fn finish_rows(rows: Rows, first: u32, u: u32, lane: u32) {
    let sums = Rows(total(rows.r0, lane), total(rows.r1, lane), total(rows.r2, lane), total(rows.r3, lane));
    switch lane / 8u {
        case 0u: { finish(first, u, sums.r0); }
        case 1u: { finish(first + 1u, u, sums.r1); }
        case 2u: { finish(first + 2u, u, sums.r2); }
        case 3u: { finish(first + 3u, u, sums.r3); }
        default: {}
    }
}
