// The vectors of an invocation's rows, for heads of at most 64 numbers. Written out, so that all stay in registers: some
// drivers don't unroll loops over arrays.
struct Head {
    c0: Bundle,
    c1: Bundle,
    c2: Bundle,
    c3: Bundle,
    c4: Bundle,
    c5: Bundle,
    c6: Bundle,
    c7: Bundle,
    c8: Bundle,
    c9: Bundle,
    c10: Bundle,
    c11: Bundle,
    c12: Bundle,
    c13: Bundle,
    c14: Bundle,
    c15: Bundle,
}

/// The invocation's own vectors of a source.
fn head_at(rows: Rows, source: u32) -> Head {
    return Head(
        bundle_at(rows, source, 0u),
        bundle_at(rows, source, 1u),
        bundle_at(rows, source, 2u),
        bundle_at(rows, source, 3u),
        bundle_at(rows, source, 4u),
        bundle_at(rows, source, 5u),
        bundle_at(rows, source, 6u),
        bundle_at(rows, source, 7u),
        bundle_at(rows, source, 8u),
        bundle_at(rows, source, 9u),
        bundle_at(rows, source, 10u),
        bundle_at(rows, source, 11u),
        bundle_at(rows, source, 12u),
        bundle_at(rows, source, 13u),
        bundle_at(rows, source, 14u),
        bundle_at(rows, source, 15u));
}

/// Dot products with the vectors of positions t .. t+3 of a source.
fn products(x: Head, rows: Rows, t: u32, source: u32) -> Bundle {
    var sum = across(rows, t, source, 0u, x.c0, Bundle());
    sum = across(rows, t, source, 1u, x.c1, sum);
    sum = across(rows, t, source, 2u, x.c2, sum);
    sum = across(rows, t, source, 3u, x.c3, sum);
    sum = across(rows, t, source, 4u, x.c4, sum);
    sum = across(rows, t, source, 5u, x.c5, sum);
    sum = across(rows, t, source, 6u, x.c6, sum);
    sum = across(rows, t, source, 7u, x.c7, sum);
    sum = across(rows, t, source, 8u, x.c8, sum);
    sum = across(rows, t, source, 9u, x.c9, sum);
    sum = across(rows, t, source, 10u, x.c10, sum);
    sum = across(rows, t, source, 11u, x.c11, sum);
    sum = across(rows, t, source, 12u, x.c12, sum);
    sum = across(rows, t, source, 13u, x.c13, sum);
    sum = across(rows, t, source, 14u, x.c14, sum);
    sum = across(rows, t, source, 15u, x.c15, sum);
    return sum;
}

/// y and the vectors of positions t .. t+3 of a source, weighed with p.
fn gathered(y: Head, rows: Rows, t: u32, source: u32, p: Bundle) -> Head {
    return Head(
        along(rows, t, source, 0u, p, y.c0),
        along(rows, t, source, 1u, p, y.c1),
        along(rows, t, source, 2u, p, y.c2),
        along(rows, t, source, 3u, p, y.c3),
        along(rows, t, source, 4u, p, y.c4),
        along(rows, t, source, 5u, p, y.c5),
        along(rows, t, source, 6u, p, y.c6),
        along(rows, t, source, 7u, p, y.c7),
        along(rows, t, source, 8u, p, y.c8),
        along(rows, t, source, 9u, p, y.c9),
        along(rows, t, source, 10u, p, y.c10),
        along(rows, t, source, 11u, p, y.c11),
        along(rows, t, source, 12u, p, y.c12),
        along(rows, t, source, 13u, p, y.c13),
        along(rows, t, source, 14u, p, y.c14),
        along(rows, t, source, 15u, p, y.c15));
}

/// Each row by its factor.
fn scaled(x: Head, by: vec4<f32>) -> Head {
    return Head(
        times(x.c0, by),
        times(x.c1, by),
        times(x.c2, by),
        times(x.c3, by),
        times(x.c4, by),
        times(x.c5, by),
        times(x.c6, by),
        times(x.c7, by),
        times(x.c8, by),
        times(x.c9, by),
        times(x.c10, by),
        times(x.c11, by),
        times(x.c12, by),
        times(x.c13, by),
        times(x.c14, by),
        times(x.c15, by));
}

/// The dot product of every row of a with that of b.
fn dots(a: Head, b: Head) -> vec4<f32> {
    var sum = dot_rows(a.c0, b.c0);
    sum += dot_rows(a.c1, b.c1);
    sum += dot_rows(a.c2, b.c2);
    sum += dot_rows(a.c3, b.c3);
    sum += dot_rows(a.c4, b.c4);
    sum += dot_rows(a.c5, b.c5);
    sum += dot_rows(a.c6, b.c6);
    sum += dot_rows(a.c7, b.c7);
    sum += dot_rows(a.c8, b.c8);
    sum += dot_rows(a.c9, b.c9);
    sum += dot_rows(a.c10, b.c10);
    sum += dot_rows(a.c11, b.c11);
    sum += dot_rows(a.c12, b.c12);
    sum += dot_rows(a.c13, b.c13);
    sum += dot_rows(a.c14, b.c14);
    sum += dot_rows(a.c15, b.c15);
    return sum;
}

/// Writes the rows where `place` says.
fn store_head(x: Head, rows: Rows, part: u32) {
    store_bundle(x.c0, rows, part, 0u);
    store_bundle(x.c1, rows, part, 1u);
    store_bundle(x.c2, rows, part, 2u);
    store_bundle(x.c3, rows, part, 3u);
    store_bundle(x.c4, rows, part, 4u);
    store_bundle(x.c5, rows, part, 5u);
    store_bundle(x.c6, rows, part, 6u);
    store_bundle(x.c7, rows, part, 7u);
    store_bundle(x.c8, rows, part, 8u);
    store_bundle(x.c9, rows, part, 9u);
    store_bundle(x.c10, rows, part, 10u);
    store_bundle(x.c11, rows, part, 11u);
    store_bundle(x.c12, rows, part, 12u);
    store_bundle(x.c13, rows, part, 13u);
    store_bundle(x.c14, rows, part, 14u);
    store_bundle(x.c15, rows, part, 15u);
}
