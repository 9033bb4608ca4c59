// out[i] = log(sum over valid rows j, other than i, of exp(scale z_i . z_j)); 0 for rows of padding. A workgroup computes
// four rows: its 64 invocations take the other rows in turn, each with a running maximum and a sum of exponentials
// relative to it.
#import shared/grid
#import similarity_lse/rows

struct Params {
    first_workgroup: u32,
    rows: u32,
    // Samples, that is, rows of a view.
    batch: u32,
    // Steps of F along a row.
    length: u32,
    scale: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

// Below every product.
const LOWEST = -3.0e38;

var<workgroup> maxima: array<vec4<f32>, 64>;
var<workgroup> sums: array<vec4<f32>, 64>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let first = workgroup_index(id, count) * 4u;
    if (first >= params.rows) {
        return;
    }
    var maximum = vec4<f32>(LOWEST);
    var sum = vec4<f32>(0.0);
    for (var other = lane; other < params.rows; other += 64u) {
        if (!is_valid(other)) {
            continue;
        }
        let itself = own(first, other);
        let product = select(products(first, other), vec4<f32>(LOWEST), itself);
        let larger = max(maximum, product);
        let added = select(exp(product - larger), vec4<f32>(0.0), itself);
        sum = sum * exp(maximum - larger) + added;
        maximum = larger;
    }
    maxima[lane] = maximum;
    sums[lane] = sum;
    // Every round reads what other invocations wrote in the previous round.
    workgroupBarrier();
    for (var half = 32u; half > 0u; half = half >> 1u) {
        if (lane < half) {
            let larger = max(maxima[lane], maxima[lane + half]);
            sums[lane] = sums[lane] * exp(maxima[lane] - larger) + sums[lane + half] * exp(maxima[lane + half] - larger);
            maxima[lane] = larger;
        }
        workgroupBarrier();
    }
    let row = first + lane;
    if (lane < 4u && row < params.rows) {
        let all = sums[0][lane];
        out[row] = select(0.0, maxima[0][lane] + log(all), is_valid(row) && all > 0.0);
    }
}
