// The sums of the 4 samples of an invocation, which reads their states itself.
struct Rows {
    r0: Sums,
    r1: Sums,
    r2: Sums,
    r3: Sums,
}

/// Adds the products of position k of the states.
fn add_rows(rows: Rows, first: u32, lane: u32, k: u32, w: Columns) -> Rows {
    return Rows(
        add_products(rows.r0, state_at(first, k), w),
        add_products(rows.r1, state_at(first + 1u, k), w),
        add_products(rows.r2, state_at(first + 2u, k), w),
        add_products(rows.r3, state_at(first + 3u, k), w));
}
