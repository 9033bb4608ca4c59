// The gradients of layer_norm's weights and biases: for each column of x and dy[rows, inner], the sums over the rows of
// dy y and of dy, with y = (x - mean) scale. The mean and scale of every row are in statistics[rows].
#import shared/column_sums
@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> statistics: array<vec4<f32>>;
fn load_dy(i: u32) -> vec4<f32> { return dy[i]; }
fn load_x(i: u32) -> vec4<f32> { return x[i]; }
fn load_statistics(i: u32) -> vec4<f32> { return statistics[i]; }

fn rows() -> u32 { return params.length; }
fn origin(row: u32, own: u32, column: u32) -> F { return F(0.0); }

fn terms(row: u32, own: u32, origin: F) -> Pair {
    let i = row * params.inner + own;
    let d = lanes(load_dy(texel(i)), i);
    let known = load_statistics(row);
    return Pair(d * (lanes(load_x(texel(i)), i) - F(known.x)) * F(known.y), d);
}

fn results(sums: Pair, origin: F, n: u32) -> Pair { return sums; }
