// Reads positions without sharing them between invocations, for any adapter.

/// Elements 4c .. 4c+7 of positions t .. t+3: one column per position.
fn eight_at(rows: Rows, t: u32, source: u32, c: u32) -> Eight {
    return Eight(columns_at(rows, t, source, c), columns_at(rows, t, source, c + 1u));
}

/// Elements 4c .. 4c+3 of positions t .. t+3.
fn columns_at(rows: Rows, t: u32, source: u32, c: u32) -> mat4x4<f32> {
    return mat4x4<f32>(
        four(rows, t, source, c), four(rows, t + 1u, source, c),
        four(rows, t + 2u, source, c), four(rows, t + 3u, source, c));
}

/// The first of the rows that are processed together, and their end.
fn first_together(rows: Rows) -> u32 { return rows.first; }
fn end_together(rows: Rows) -> u32 { return rows.first + ROWS; }
