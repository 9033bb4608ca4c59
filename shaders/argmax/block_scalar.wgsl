// Blocks of one element of a row: element i of x is element k of its row.
@group(0) @binding(1) var<storage, read> x: array<f32>;

fn first_of_block(i: u32, k: u32) -> Best { return Best(x[i], k); }

/// The better of `best` and the block. An earlier position wins a tie.
fn better(best: Best, i: u32, k: u32) -> Best {
    if (x[i] > best.value) { return Best(x[i], k); }
    return best;
}
