// Writes the output as vec4: its innermost extent is a multiple of 4.
alias F = vec4<f32>;

@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;

// Applied to every value before it is stored; `index` is the linear element index of its first element.
fn epilogue(value: F, index: u32) -> F {
    return value;
}

// Stores 4 consecutive elements, of which `count` exist: all of them or none.
fn store(index: u32, value: vec4<f32>, count: i32) {
    if (count > 0) {
        out[index >> 2u] = epilogue(value, index);
    }
}
