// The vectors of an invocation's rows, for heads of at most 128 numbers. Written out, so that all stay in registers: some
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
    c16: Bundle,
    c17: Bundle,
    c18: Bundle,
    c19: Bundle,
    c20: Bundle,
    c21: Bundle,
    c22: Bundle,
    c23: Bundle,
    c24: Bundle,
    c25: Bundle,
    c26: Bundle,
    c27: Bundle,
    c28: Bundle,
    c29: Bundle,
    c30: Bundle,
    c31: Bundle,
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
        bundle_at(rows, source, 15u),
        bundle_at(rows, source, 16u),
        bundle_at(rows, source, 17u),
        bundle_at(rows, source, 18u),
        bundle_at(rows, source, 19u),
        bundle_at(rows, source, 20u),
        bundle_at(rows, source, 21u),
        bundle_at(rows, source, 22u),
        bundle_at(rows, source, 23u),
        bundle_at(rows, source, 24u),
        bundle_at(rows, source, 25u),
        bundle_at(rows, source, 26u),
        bundle_at(rows, source, 27u),
        bundle_at(rows, source, 28u),
        bundle_at(rows, source, 29u),
        bundle_at(rows, source, 30u),
        bundle_at(rows, source, 31u));
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
    sum = across(rows, t, source, 16u, x.c16, sum);
    sum = across(rows, t, source, 17u, x.c17, sum);
    sum = across(rows, t, source, 18u, x.c18, sum);
    sum = across(rows, t, source, 19u, x.c19, sum);
    sum = across(rows, t, source, 20u, x.c20, sum);
    sum = across(rows, t, source, 21u, x.c21, sum);
    sum = across(rows, t, source, 22u, x.c22, sum);
    sum = across(rows, t, source, 23u, x.c23, sum);
    sum = across(rows, t, source, 24u, x.c24, sum);
    sum = across(rows, t, source, 25u, x.c25, sum);
    sum = across(rows, t, source, 26u, x.c26, sum);
    sum = across(rows, t, source, 27u, x.c27, sum);
    sum = across(rows, t, source, 28u, x.c28, sum);
    sum = across(rows, t, source, 29u, x.c29, sum);
    sum = across(rows, t, source, 30u, x.c30, sum);
    sum = across(rows, t, source, 31u, x.c31, sum);
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
        along(rows, t, source, 15u, p, y.c15),
        along(rows, t, source, 16u, p, y.c16),
        along(rows, t, source, 17u, p, y.c17),
        along(rows, t, source, 18u, p, y.c18),
        along(rows, t, source, 19u, p, y.c19),
        along(rows, t, source, 20u, p, y.c20),
        along(rows, t, source, 21u, p, y.c21),
        along(rows, t, source, 22u, p, y.c22),
        along(rows, t, source, 23u, p, y.c23),
        along(rows, t, source, 24u, p, y.c24),
        along(rows, t, source, 25u, p, y.c25),
        along(rows, t, source, 26u, p, y.c26),
        along(rows, t, source, 27u, p, y.c27),
        along(rows, t, source, 28u, p, y.c28),
        along(rows, t, source, 29u, p, y.c29),
        along(rows, t, source, 30u, p, y.c30),
        along(rows, t, source, 31u, p, y.c31));
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
        times(x.c15, by),
        times(x.c16, by),
        times(x.c17, by),
        times(x.c18, by),
        times(x.c19, by),
        times(x.c20, by),
        times(x.c21, by),
        times(x.c22, by),
        times(x.c23, by),
        times(x.c24, by),
        times(x.c25, by),
        times(x.c26, by),
        times(x.c27, by),
        times(x.c28, by),
        times(x.c29, by),
        times(x.c30, by),
        times(x.c31, by));
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
    sum += dot_rows(a.c16, b.c16);
    sum += dot_rows(a.c17, b.c17);
    sum += dot_rows(a.c18, b.c18);
    sum += dot_rows(a.c19, b.c19);
    sum += dot_rows(a.c20, b.c20);
    sum += dot_rows(a.c21, b.c21);
    sum += dot_rows(a.c22, b.c22);
    sum += dot_rows(a.c23, b.c23);
    sum += dot_rows(a.c24, b.c24);
    sum += dot_rows(a.c25, b.c25);
    sum += dot_rows(a.c26, b.c26);
    sum += dot_rows(a.c27, b.c27);
    sum += dot_rows(a.c28, b.c28);
    sum += dot_rows(a.c29, b.c29);
    sum += dot_rows(a.c30, b.c30);
    sum += dot_rows(a.c31, b.c31);
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
    store_bundle(x.c16, rows, part, 16u);
    store_bundle(x.c17, rows, part, 17u);
    store_bundle(x.c18, rows, part, 18u);
    store_bundle(x.c19, rows, part, 19u);
    store_bundle(x.c20, rows, part, 20u);
    store_bundle(x.c21, rows, part, 21u);
    store_bundle(x.c22, rows, part, 22u);
    store_bundle(x.c23, rows, part, 23u);
    store_bundle(x.c24, rows, part, 24u);
    store_bundle(x.c25, rows, part, 25u);
    store_bundle(x.c26, rows, part, 26u);
    store_bundle(x.c27, rows, part, 27u);
    store_bundle(x.c28, rows, part, 28u);
    store_bundle(x.c29, rows, part, 29u);
    store_bundle(x.c30, rows, part, 30u);
    store_bundle(x.c31, rows, part, 31u);
}
