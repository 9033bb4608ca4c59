// The work of an invocation on the columns of [outer, length, inner]: a column of one of the outer parts, a split of the
// length, and every ROWS-th row of it from `row` on.
struct Place {
    outer: u32,
    column: u32,
    split: u32,
    row: u32,
    works: bool,
}
