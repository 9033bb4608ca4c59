// Sixteen elements, from 4c on, of the vectors of an invocation's rows. They are separate variables so that all stay in
// registers: some drivers don't unroll loops over arrays.
struct Sixteen {
    c0: Bundle,
    c1: Bundle,
    c2: Bundle,
    c3: Bundle,
}

/// The vectors of the invocation's own rows in a source.
fn sixteen_at(rows: Rows, source: u32, c: u32) -> Sixteen {
    return Sixteen(
        bundle_at(rows, source, c), bundle_at(rows, source, c + 1u),
        bundle_at(rows, source, c + 2u), bundle_at(rows, source, c + 3u));
}

/// Adds to sum the products of x with the vectors of positions t .. t+3 of a source.
fn sixteen_products(x: Sixteen, rows: Rows, t: u32, source: u32, c: u32, sum: Bundle) -> Bundle {
    let low = eight_at(rows, t, source, c);
    var y = across(low.a, x.c0, sum);
    y = across(low.b, x.c1, y);
    let high = eight_at(rows, t, source, c + 2u);
    y = across(high.a, x.c2, y);
    return across(high.b, x.c3, y);
}

/// Adds to y the vectors of positions t .. t+3 of a source, weighted by p.
fn sixteen_gathered(y: Sixteen, rows: Rows, t: u32, source: u32, c: u32, p: Bundle) -> Sixteen {
    let low = eight_at(rows, t, source, c);
    let high = eight_at(rows, t, source, c + 2u);
    return Sixteen(
        along(low.a, p, y.c0), along(low.b, p, y.c1), along(high.a, p, y.c2), along(high.b, p, y.c3));
}

/// Multiplies each row by its factor.
fn sixteen_scaled(x: Sixteen, by: vec4<f32>) -> Sixteen {
    return Sixteen(times(x.c0, by), times(x.c1, by), times(x.c2, by), times(x.c3, by));
}

/// The dot product of every row of a with the same row of b.
fn sixteen_dots(a: Sixteen, b: Sixteen) -> vec4<f32> {
    return dot_rows(a.c0, b.c0) + dot_rows(a.c1, b.c1) + dot_rows(a.c2, b.c2) + dot_rows(a.c3, b.c3);
}

/// Writes the rows to `place`.
fn store_sixteen(x: Sixteen, rows: Rows, part: u32, c: u32) {
    store_bundle(x.c0, rows, part, c);
    store_bundle(x.c1, rows, part, c + 1u);
    store_bundle(x.c2, rows, part, c + 2u);
    store_bundle(x.c3, rows, part, c + 3u);
}
