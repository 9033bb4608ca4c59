// The inputs of an output pixel along one axis: `first` and the next one, whose weight is `more`. The centre of output
// o lies at (o + 1/2) extent / outputs - 1/2 among the inputs. It is computed in integers, so that nothing is rounded
// before the last division.
struct Source {
    first: u32,
    more: f32,
}

fn source(o: u32, extent: u32, outputs: u32) -> Source {
    let at = max((2u * o + 1u) * extent, outputs) - outputs;
    let first = divide(at, 2u * outputs);
    return Source(first, f32(at - first * 2u * outputs) / f32(2u * outputs));
}

// The range of outputs that may use input i; no others do.
fn takers(i: u32, extent: u32, outputs: u32) -> Range {
    let before = divide(outputs * (max(2u * i, 1u) - 1u), 2u * extent);
    let after = divide(outputs * (2u * i + 3u), 2u * extent) + 1u;
    return Range(select(max(before, 1u) - 1u, 0u, i == 0u), select(min(after, outputs), outputs, i + 1u == extent));
}

// The weight of input i in output o.
fn share(o: u32, i: u32, extent: u32, outputs: u32) -> f32 {
    let taken = source(o, extent, outputs);
    let next = min(taken.first + 1u, extent - 1u);
    return select(0.0, 1.0 - taken.more, taken.first == i) + select(0.0, taken.more, next == i);
}
