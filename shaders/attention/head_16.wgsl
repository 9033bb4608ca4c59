// The vectors of an invocation's rows, for heads of at most 16 numbers. Written out, so that all stay in registers: some
// drivers don't unroll loops over arrays.
struct Head {
    c0: Bundle,
    c1: Bundle,
    c2: Bundle,
    c3: Bundle,
}

/// The invocation's own vectors of a source.
fn head_at(rows: Rows, source: u32) -> Head {
    return Head(
        bundle_at(rows, source, 0u),
        bundle_at(rows, source, 1u),
        bundle_at(rows, source, 2u),
        bundle_at(rows, source, 3u));
}

/// Dot products with the vectors of positions t .. t+3 of a source.
fn products(x: Head, rows: Rows, t: u32, source: u32) -> Bundle {
    var sum = across(rows, t, source, 0u, x.c0, Bundle());
    sum = across(rows, t, source, 1u, x.c1, sum);
    sum = across(rows, t, source, 2u, x.c2, sum);
    sum = across(rows, t, source, 3u, x.c3, sum);
    return sum;
}

/// y and the vectors of positions t .. t+3 of a source, weighed with p.
fn gathered(y: Head, rows: Rows, t: u32, source: u32, p: Bundle) -> Head {
    return Head(
        along(rows, t, source, 0u, p, y.c0),
        along(rows, t, source, 1u, p, y.c1),
        along(rows, t, source, 2u, p, y.c2),
        along(rows, t, source, 3u, p, y.c3));
}

/// Each row by its factor.
fn scaled(x: Head, by: vec4<f32>) -> Head {
    return Head(
        times(x.c0, by),
        times(x.c1, by),
        times(x.c2, by),
        times(x.c3, by));
}

/// The dot product of every row of a with that of b.
fn dots(a: Head, b: Head) -> vec4<f32> {
    var sum = dot_rows(a.c0, b.c0);
    sum += dot_rows(a.c1, b.c1);
    sum += dot_rows(a.c2, b.c2);
    sum += dot_rows(a.c3, b.c3);
    return sum;
}

/// Writes the rows where `place` says.
fn store_head(x: Head, rows: Rows, part: u32) {
    store_bundle(x.c0, rows, part, 0u);
    store_bundle(x.c1, rows, part, 1u);
    store_bundle(x.c2, rows, part, 2u);
    store_bundle(x.c3, rows, part, 3u);
}
