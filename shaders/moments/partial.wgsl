// Mean, and sum of squared deviations, of every column of each split of x[outer, length, inner]. Values are taken
// relative to the split's first row, because squares of large numbers would cancel.
#import shared/column_sums
#import shared/rows_all
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
fn load_x(i: u32) -> vec4<f32> { return x[i]; }

fn x_at(row: u32, own: u32) -> F {
    let i = row * params.inner + own;
    return lanes(load_x(texel(i)), i);
}

fn rows() -> u32 { return counted(); }
fn origin(row: u32, own: u32, column: u32) -> F { return x_at(row, own); }

fn terms(row: u32, own: u32, origin: F) -> Pair {
    let d = x_at(row, own) - origin;
    return Pair(d, d * d);
}

fn results(sums: Pair, origin: F, n: u32) -> Pair {
    let share = F(1.0 / f32(max(n, 1u)));
    let distance = sums.first * share;
    return Pair(origin + distance, max(sums.second - sums.first * distance, F(0.0)));
}
