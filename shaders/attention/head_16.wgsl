// The vectors of an invocation's rows, for heads of at most 16 elements. The functions are those of attention/sixteen,
// for all elements.
#import attention/sixteen

struct Head {
    s0: Sixteen,
}

fn head_at(rows: Rows, source: u32) -> Head {
    return Head(sixteen_at(rows, source, 0u));
}

fn products(x: Head, rows: Rows, t: u32, source: u32) -> Bundle {
    return sixteen_products(x.s0, rows, t, source, 0u, Bundle());
}

fn gathered(y: Head, rows: Rows, t: u32, source: u32, p: Bundle) -> Head {
    return Head(sixteen_gathered(y.s0, rows, t, source, 0u, p));
}

fn scaled(x: Head, by: vec4<f32>) -> Head {
    return Head(sixteen_scaled(x.s0, by));
}

fn dots(a: Head, b: Head) -> vec4<f32> {
    return sixteen_dots(a.s0, b.s0);
}

fn store_head(x: Head, rows: Rows, part: u32) {
    store_sixteen(x.s0, rows, part, 0u);
}
