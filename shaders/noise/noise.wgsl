// Gaussian noise: out = x + deviation * n. Elements 4 i .. 4 i + 3 take the normal values of one Philox block, whose
// counter is (i, step, stream, domain). Words 0 and 1 give the first two by Box and Muller's transform, words 2 and 3
// the others. An invocation handles one block: one texel of x.
//
// WGSL allows errors of 2^-11 in sin and cos, and of 2^-21 in log near 1. Logarithm, sine and cosine are therefore
// implemented here with errors of a few units in the last place; noise is the same on every device except for these.
#import shared/store_vec4
#import shared/grid
#import shared/philox

struct Params {
    first_workgroup: u32,
    elements: u32,
    deviation: f32,
    seed_low: u32,
    seed_high: u32,
    stream: u32,
    domain: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> step: array<u32>;
fn load_x(i: u32) -> vec4<f32> { return x[i]; }

// ln u of u = count / 2^24, for count from 1 to 2^24: for the mantissa m in [sqrt(1/2), sqrt(2)) by the series of 2
// artanh((m - 1) / (m + 1)), plus that of the exponent.
fn log_unit(count: u32) -> f32 {
    let bits = bitcast<u32>(f32(count));
    var exponent = i32(bits >> 23u) - 127 - 24;
    var m = bitcast<f32>((bits & 0x7fffffu) | 0x3f800000u);
    if (m > 1.4142135) {
        m *= 0.5;
        exponent += 1;
    }
    let s = (m - 1.0) / (m + 1.0);
    let q = s * s;
    let series = 2.0 + q * (0.6666667 + q * (0.4 + q * (0.2857143 + q * 0.2222222)));
    return f32(exponent) * 0.6931472 + s * series;
}

// Cosine and sine of 2 pi count / 2^24: Taylor polynomials within an eighth of a turn of the nearest quarter turn.
fn cos_sin_turn(count: u32) -> vec2<f32> {
    let quarter = (count + (1u << 21u)) >> 22u;
    let angle = f32(i32(count) - i32(quarter << 22u)) * 3.7450704e-7;
    let q = angle * angle;
    let s = angle * (1.0 - q * (0.16666667 - q * (0.008333333 - q * (1.9841270e-4 - q * 2.7557319e-6))));
    let c = 1.0 - q * (0.5 - q * (0.041666667 - q * (1.3888889e-3 - q * (2.4801587e-5 - q * 2.7557319e-7))));
    switch (quarter & 3u) {
        case 0u: { return vec2<f32>(c, s); }
        case 1u: { return vec2<f32>(-s, c); }
        case 2u: { return vec2<f32>(-c, -s); }
        default: { return vec2<f32>(s, -c); }
    }
}

fn normals(a: u32, b: u32) -> vec2<f32> {
    let radius = sqrt(max(-2.0 * log_unit((a >> 8u) + 1u), 0.0));
    return radius * cos_sin_turn(b >> 8u);
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = workgroup_index(id, count) * 64u + lane;
    if (i * 4u >= params.elements) {
        return;
    }
    let counter = vec4<u32>(i, step[0], params.stream, params.domain);
    let words = philox4x32(counter, vec2<u32>(params.seed_low, params.seed_high));
    let noise = vec4<f32>(normals(words.x, words.y), normals(words.z, words.w));
    store(i * 4u, load_x(i) + params.deviation * noise, i32(params.elements - i * 4u));
}
