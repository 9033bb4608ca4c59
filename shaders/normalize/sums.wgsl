// The sums in the gradient of normalize, over every column of dy and x[outer, length, inner]: of dy, and of dy (x -
// mean).
#import shared/column_sums
@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> mean: array<vec4<f32>>;
fn load_dy(i: u32) -> vec4<f32> { return dy[i]; }
fn load_x(i: u32) -> vec4<f32> { return x[i]; }
fn load_mean(i: u32) -> vec4<f32> { return mean[i]; }

fn rows() -> u32 { return params.length; }
fn origin(row: u32, own: u32, column: u32) -> F { return lanes(load_mean(texel(column)), column); }

fn terms(row: u32, own: u32, origin: F) -> Pair {
    let i = row * params.inner + own;
    let d = lanes(load_dy(texel(i)), i);
    return Pair(d, d * (lanes(load_x(texel(i)), i) - origin));
}

fn results(sums: Pair, origin: F, n: u32) -> Pair { return sums; }
