// Combines the means and variances of the splits, x[splits, 2, outer, inner] from shaders/moments/partial, for every
// column: out[1, 2, outer, inner]. The rows of this kernel are the splits, of `span` rows of the whole tensor each.
#import shared/column_sums
#import shared/rows_all
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
fn load_x(i: u32) -> vec4<f32> { return x[i]; }

fn x_at(split: u32, part: u32, column: u32) -> F {
    let i = (2u * split + part) * params.inner + column;
    return lanes(load_x(texel(i)), i);
}

// Splits with at least one row that counts.
fn rows() -> u32 { return (counted() + params.span - 1u) / params.span; }
fn origin(split: u32, own: u32, column: u32) -> F { return x_at(split, 0u, column); }

fn terms(split: u32, column: u32, origin: F) -> Pair {
    let n = F(f32(min(counted() - split * params.span, params.span)));
    let d = x_at(split, 0u, column) - origin;
    return Pair(n * d, x_at(split, 1u, column) + n * d * d);
}

fn results(sums: Pair, origin: F, splits: u32) -> Pair {
    let share = F(1.0 / f32(max(counted(), 1u)));
    let distance = sums.first * share;
    return Pair(origin + distance, max(sums.second - sums.first * distance, F(0.0)) * share);
}
