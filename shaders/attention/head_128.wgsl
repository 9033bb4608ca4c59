// The vectors of an invocation's rows, for heads of at most 128 elements. The functions are those of attention/sixteen,
// for all elements.
#import attention/sixteen

struct Head {
    s0: Sixteen,
    s1: Sixteen,
    s2: Sixteen,
    s3: Sixteen,
    s4: Sixteen,
    s5: Sixteen,
    s6: Sixteen,
    s7: Sixteen,
}

fn head_at(rows: Rows, source: u32) -> Head {
    return Head(
        sixteen_at(rows, source, 0u),
        sixteen_at(rows, source, 4u),
        sixteen_at(rows, source, 8u),
        sixteen_at(rows, source, 12u),
        sixteen_at(rows, source, 16u),
        sixteen_at(rows, source, 20u),
        sixteen_at(rows, source, 24u),
        sixteen_at(rows, source, 28u));
}

fn products(x: Head, rows: Rows, t: u32, source: u32) -> Bundle {
    var sum = sixteen_products(x.s0, rows, t, source, 0u, Bundle());
    sum = sixteen_products(x.s1, rows, t, source, 4u, sum);
    sum = sixteen_products(x.s2, rows, t, source, 8u, sum);
    sum = sixteen_products(x.s3, rows, t, source, 12u, sum);
    sum = sixteen_products(x.s4, rows, t, source, 16u, sum);
    sum = sixteen_products(x.s5, rows, t, source, 20u, sum);
    sum = sixteen_products(x.s6, rows, t, source, 24u, sum);
    sum = sixteen_products(x.s7, rows, t, source, 28u, sum);
    return sum;
}

fn gathered(y: Head, rows: Rows, t: u32, source: u32, p: Bundle) -> Head {
    return Head(
        sixteen_gathered(y.s0, rows, t, source, 0u, p),
        sixteen_gathered(y.s1, rows, t, source, 4u, p),
        sixteen_gathered(y.s2, rows, t, source, 8u, p),
        sixteen_gathered(y.s3, rows, t, source, 12u, p),
        sixteen_gathered(y.s4, rows, t, source, 16u, p),
        sixteen_gathered(y.s5, rows, t, source, 20u, p),
        sixteen_gathered(y.s6, rows, t, source, 24u, p),
        sixteen_gathered(y.s7, rows, t, source, 28u, p));
}

fn scaled(x: Head, by: vec4<f32>) -> Head {
    return Head(
        sixteen_scaled(x.s0, by),
        sixteen_scaled(x.s1, by),
        sixteen_scaled(x.s2, by),
        sixteen_scaled(x.s3, by),
        sixteen_scaled(x.s4, by),
        sixteen_scaled(x.s5, by),
        sixteen_scaled(x.s6, by),
        sixteen_scaled(x.s7, by));
}

fn dots(a: Head, b: Head) -> vec4<f32> {
    return sixteen_dots(a.s0, b.s0)
        + sixteen_dots(a.s1, b.s1)
        + sixteen_dots(a.s2, b.s2)
        + sixteen_dots(a.s3, b.s3)
        + sixteen_dots(a.s4, b.s4)
        + sixteen_dots(a.s5, b.s5)
        + sixteen_dots(a.s6, b.s6)
        + sixteen_dots(a.s7, b.s7);
}

fn store_head(x: Head, rows: Rows, part: u32) {
    store_sixteen(x.s0, rows, part, 0u);
    store_sixteen(x.s1, rows, part, 4u);
    store_sixteen(x.s2, rows, part, 8u);
    store_sixteen(x.s3, rows, part, 12u);
    store_sixteen(x.s4, rows, part, 16u);
    store_sixteen(x.s5, rows, part, 20u);
    store_sixteen(x.s6, rows, part, 24u);
    store_sixteen(x.s7, rows, part, 28u);
}
