// How an invocation reads the positions that it walks: by itself. For any adapter.

/// Numbers 4c .. 4c+7 of positions t .. t+3: a column for each position.
fn eight_at(rows: Rows, t: u32, source: u32, c: u32) -> Eight {
    return Eight(columns_at(rows, t, source, c), columns_at(rows, t, source, c + 1u));
}

/// Numbers 4c .. 4c+3 of positions t .. t+3.
fn columns_at(rows: Rows, t: u32, source: u32, c: u32) -> mat4x4<f32> {
    return mat4x4<f32>(
        four(rows, t, source, c), four(rows, t + 1u, source, c),
        four(rows, t + 2u, source, c), four(rows, t + 3u, source, c));
}

/// The first row, and the end, of the rows that walk together.
fn first_together(rows: Rows) -> u32 { return rows.first; }
fn end_together(rows: Rows) -> u32 { return rows.first + ROWS; }
