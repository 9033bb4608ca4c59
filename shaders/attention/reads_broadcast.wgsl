// Reads positions, for subgroups of 8: a workgroup is one subgroup whose rows belong to the same head and process
// positions together. Each lane reads 4 elements of one position and shares them by subgroupShuffle from a literal
// lane. The functions are those of attention/reads_direct.
fn eight_at(rows: Rows, t: u32, source: u32, c: u32) -> Eight {
    let own = four(rows, t + (rows.lane & 3u), source, c + (rows.lane >> 2u));
    return Eight(
        mat4x4<f32>(
            subgroupShuffle(own, 0u), subgroupShuffle(own, 1u), subgroupShuffle(own, 2u), subgroupShuffle(own, 3u)),
        mat4x4<f32>(
            subgroupShuffle(own, 4u), subgroupShuffle(own, 5u), subgroupShuffle(own, 6u), subgroupShuffle(own, 7u)));
}

fn first_together(rows: Rows) -> u32 { return rows.first - rows.lane * ROWS; }
fn end_together(rows: Rows) -> u32 { return rows.first + (8u - rows.lane) * ROWS; }
