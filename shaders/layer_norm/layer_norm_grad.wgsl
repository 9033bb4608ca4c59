// The gradient of layer_norm row by row, from its operand x[rows, length], the mean and scale of every row in
// statistics[rows], and the gradient dy of its result. With y = (x - mean) scale and g = dy weight: out = scale (g -
// mean(g) - y mean(y g)).
#import shared/grid
#import shared/row_params
#import shared/row_pair_vec4
@group(0) @binding(3) var<storage, read_write> out: array<F>;
@group(0) @binding(4) var<storage, read> statistics: array<vec4<f32>>;
fn load_statistics(i: u32) -> vec4<f32> { return statistics[i]; }
#import shared/row_invocation
#import layer_norm/unweighted

// Applied to every value before it is stored; `index` is the linear element index of its first element.
fn epilogue(value: F, index: u32) -> F {
    return value;
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = row_of(workgroup_index(id, count), lane);
    if (row >= params.rows) {
        return;
    }
    let base = row * params.length;
    let elements = f32(params.length * WIDTH);
    let known = load_statistics(row);
    let mean = F(known.x);
    let scale = F(known.y);
    var sum = F(0.0);
    var products = F(0.0);
    for (var k = first_of(lane); k < params.length; k += LANES) {
        let g = weighted(load_dy(base + k), k);
        sum += g;
        products += g * (load_x(base + k) - mean) * scale;
    }
    let mean_g = F(row_sum(total(sum), lane) / elements);
    let slope = F(row_sum(total(products), lane) / elements);
    for (var k = first_of(lane); k < params.length; k += LANES) {
        let g = weighted(load_dy(base + k), k);
        let y = (load_x(base + k) - mean) * scale;
        out[base + k] = epilogue(scale * (g - mean_g - y * slope), (base + k) * WIDTH);
    }
}
