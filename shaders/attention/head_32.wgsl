// The vectors of an invocation's rows, for heads of at most 32 elements. The functions are those of attention/sixteen,
// for all elements.
#import attention/sixteen

struct Head {
    s0: Sixteen,
    s1: Sixteen,
}

fn head_at(rows: Rows, source: u32) -> Head {
    return Head(
        sixteen_at(rows, source, 0u),
        sixteen_at(rows, source, 4u));
}

fn products(x: Head, rows: Rows, t: u32, source: u32) -> Bundle {
    var sum = sixteen_products(x.s0, rows, t, source, 0u, Bundle());
    sum = sixteen_products(x.s1, rows, t, source, 4u, sum);
    return sum;
}

fn gathered(y: Head, rows: Rows, t: u32, source: u32, p: Bundle) -> Head {
    return Head(
        sixteen_gathered(y.s0, rows, t, source, 0u, p),
        sixteen_gathered(y.s1, rows, t, source, 4u, p));
}

fn scaled(x: Head, by: vec4<f32>) -> Head {
    return Head(
        sixteen_scaled(x.s0, by),
        sixteen_scaled(x.s1, by));
}

fn dots(a: Head, b: Head) -> vec4<f32> {
    return sixteen_dots(a.s0, b.s0)
        + sixteen_dots(a.s1, b.s1);
}

fn store_head(x: Head, rows: Rows, part: u32) {
    store_sixteen(x.s0, rows, part, 0u);
    store_sixteen(x.s1, rows, part, 4u);
}
