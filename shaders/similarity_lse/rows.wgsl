// Rows of z[rows, length], the operand x, that are compared with each other. Row v * batch + b is view v of sample b; rows
// of samples from valid[0] on are padding. A workgroup works on four rows at once, so that each load of another row
// serves four inner products.
#import shared/row_vec4

@group(0) @binding(2) var<storage, read> valid: array<u32>;

/// Whether a row is none of padding.
fn is_valid(row: u32) -> bool {
    return row < params.rows && row % params.batch < valid[0];
}

/// Which of the four rows from `first` on is row `other`.
fn own(first: u32, other: u32) -> vec4<bool> {
    return vec4<u32>(first) + vec4<u32>(0u, 1u, 2u, 3u) == vec4<u32>(other);
}

/// The scaled inner products of the four rows from `first` on with row `other`. Rows past the end stand for the last one.
fn products(first: u32, other: u32) -> vec4<f32> {
    let last = params.rows - 1u;
    let starts = min(vec4<u32>(first) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(last)) * params.length;
    let theirs = other * params.length;
    var sums = vec4<f32>(0.0);
    for (var k = 0u; k < params.length; k += 1u) {
        let value = load_x(theirs + k);
        sums += vec4<f32>(
            total(value * load_x(starts.x + k)),
            total(value * load_x(starts.y + k)),
            total(value * load_x(starts.z + k)),
            total(value * load_x(starts.w + k)),
        );
    }
    return params.scale * sums;
}
