// Writes the output element by element, for any innermost extent.
alias F = f32;

@group(0) @binding(3) var<storage, read_write> out: array<f32>;

// Applied to every value before it is stored; `index` is its linear element index.
fn epilogue(value: F, index: u32) -> F {
    return value;
}

// Stores the first `count` of 4 consecutive elements.
fn store(index: u32, value: vec4<f32>, count: i32) {
    for (var i = 0; i < min(count, 4); i += 1) {
        out[index + u32(i)] = epilogue(value[i], index + u32(i));
    }
}
