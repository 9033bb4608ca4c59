// Standard normal numbers by Box and Muller's transform. Elements 4 i .. 4 i + 3 come from the words of one Philox block, whose
// counter is (i, step, stream, purpose): two pairs of numbers. An invocation handles one block. Logarithm, sine and cosine are
// polynomials here, because WGSL leaves their accuracy open: those of an adapter may err by a thousandth.
#import shared/grid
#import shared/philox

struct Params {
    first_workgroup: u32,
    elements: u32,
    seed_low: u32,
    seed_high: u32,
    stream: u32,
    purpose: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> step: array<u32>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;

// Minus the natural logarithm of u in (0, 1]: u = m 2^e with m from sqrt(1/2) to sqrt(2), and log(m) = 2 atanh((m - 1) / (m + 1)).
fn minus_log(u: f32) -> f32 {
    let bits = bitcast<u32>(u);
    var e = f32(i32(bits >> 23u) - 127);
    var m = bitcast<f32>((bits & 0x7fffffu) | 0x3f800000u);
    if (m > 1.4142135) {
        m *= 0.5;
        e += 1.0;
    }
    let s = (m - 1.0) / (m + 1.0);
    let s2 = s * s;
    let series = 1.0 + s2 * (1.0 / 3.0 + s2 * (1.0 / 5.0 + s2 * (1.0 / 7.0 + s2 * (1.0 / 9.0))));
    return -(e * 0.6931472 + 2.0 * s * series);
}

// Cosine and sine of v turns, v in [0, 1): within an eighth of a turn around a quarter by their series.
fn turned(v: f32) -> vec2<f32> {
    let quarter = floor(4.0 * v + 0.5);
    let t = (4.0 * v - quarter) * 1.5707963;
    let t2 = t * t;
    let sine = t * (1.0 + t2 * (-1.0 / 6.0 + t2 * (1.0 / 120.0 + t2 * (-1.0 / 5040.0 + t2 * (1.0 / 362880.0)))));
    let cosine = 1.0 + t2 * (-0.5 + t2 * (1.0 / 24.0 + t2 * (-1.0 / 720.0 + t2 * (1.0 / 40320.0))));
    switch (u32(quarter) % 4u) {
        case 0u: { return vec2<f32>(cosine, sine); }
        case 1u: { return vec2<f32>(-sine, cosine); }
        case 2u: { return vec2<f32>(-cosine, -sine); }
        default: { return vec2<f32>(sine, -cosine); }
    }
}

// Two normal numbers of two words, of which the top 24 bits count.
fn normal_pair(radius: u32, angle: u32) -> vec2<f32> {
    let u = f32((radius >> 8u) + 1u) / 16777216.0;
    let v = f32(angle >> 8u) / 16777216.0;
    return sqrt(2.0 * max(minus_log(u), 0.0)) * turned(v);
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
    let key = vec2<u32>(params.seed_low, params.seed_high);
    let words = philox4x32(vec4<u32>(i, step[0], params.stream, params.purpose), key);
    out[i] = vec4<f32>(normal_pair(words.x, words.y), normal_pair(words.z, words.w));
}
