// Blocks of four elements of a row: block i of x is block k of its row.
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
fn load_x(i: u32) -> vec4<f32> { return x[i]; }

fn first_of_block(i: u32, k: u32) -> Best { return Best(load_x(i).x, 4u * k); }

/// The better of `best` and the first maximum of the block. An earlier position wins a tie.
fn better(best: Best, i: u32, k: u32) -> Best {
    let v = load_x(i);
    var b = best;
    if (v.x > b.value) { b = Best(v.x, 4u * k); }
    if (v.y > b.value) { b = Best(v.y, 4u * k + 1u); }
    if (v.z > b.value) { b = Best(v.z, 4u * k + 2u); }
    if (v.w > b.value) { b = Best(v.w, 4u * k + 3u); }
    return b;
}
