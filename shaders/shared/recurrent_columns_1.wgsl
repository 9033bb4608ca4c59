// One F of sums for each sample of an invocation, as separate variables so that all stay in registers.
struct Sums {
    a: F,
}

struct Columns {
    a: Weights,
}

fn columns_at(u: u32, k: u32) -> Columns {
    return Columns(column_weights(0u, u, k));
}

fn add_products(sums: Sums, x: F, w: Columns) -> Sums {
    return Sums(sums.a + times(x, w.a));
}

fn add_sums(x: Sums, y: Sums) -> Sums {
    return Sums(x.a + y.a);
}
