// Three F of sums for each sample of an invocation, as separate variables so that all stay in registers.
struct Sums {
    a: F,
    b: F,
    c: F,
}

struct Columns {
    a: Weights,
    b: Weights,
    c: Weights,
}

fn columns_at(u: u32, k: u32) -> Columns {
    return Columns(column_weights(0u, u, k), column_weights(1u, u, k), column_weights(2u, u, k));
}

fn add_products(sums: Sums, x: F, w: Columns) -> Sums {
    return Sums(sums.a + times(x, w.a), sums.b + times(x, w.b), sums.c + times(x, w.c));
}

fn add_sums(x: Sums, y: Sums) -> Sums {
    return Sums(x.a + y.a, x.b + y.b, x.c + y.c);
}
