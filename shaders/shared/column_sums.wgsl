// Two sums for every column of [outer, length, inner], divided along the length into splits: out[splits, 2, outer,
// inner].
// The importing file defines the terms and the results of the sums:
//   fn rows() -> u32                                             rows that count
//   fn origin(row: u32, own: u32, column: u32) -> F              what the terms of a split are measured from: its first row
//   fn terms(row: u32, own: u32, origin: F) -> Pair              of one row
//   fn results(sums: Pair, origin: F, n: u32) -> Pair            of n rows
// where `row` counts all rows of [outer, length], `own` the columns of [inner], and `column` those of [outer, inner].
#import shared/lanes_vec4
#import shared/grid
#import shared/column_params

struct Pair {
    first: F,
    second: F,
}

alias Partial = F;
fn combine(a: F, b: F) -> F { return a + b; }
#import shared/columns_invocation

@compute @workgroup_size(SIZE)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let place = place_of(workgroup_index(id, count), lane);
    let column = place.outer * params.inner + place.column;
    let first = place.outer * params.length;
    let start = place.split * params.chunk;
    let end = max(start, min(start + params.chunk, min(rows(), params.length)));
    var sums = Pair(F(0.0), F(0.0));
    var from_here = F(0.0);
    if (place.works && start < end) {
        from_here = origin(first + start, place.column, column);
        for (var row = start + place.row; row < end; row += ROWS) {
            let more = terms(first + row, place.column, from_here);
            sums = Pair(sums.first + more.first, sums.second + more.second);
        }
    }
    sums = Pair(combined_rows(sums.first, lane), combined_rows(sums.second, lane));
    if (place.works && place.row == 0u) {
        let result = results(sums, from_here, end - start);
        let columns = params.outer * params.inner;
        out[2u * place.split * columns + column] = result.first;
        out[(2u * place.split + 1u) * columns + column] = result.second;
    }
}
