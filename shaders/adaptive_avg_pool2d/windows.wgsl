// Windows that divide an axis of `extent` into `outputs`: number o covers floor(o extent / outputs) to
// ceil((o + 1) extent / outputs). Neighbours overlap where the division has a rest.
fn covers(o: u32, extent: u32, outputs: u32) -> Range {
    return Range(divide(o * extent, outputs), divide((o + 1u) * extent + outputs - 1u, outputs));
}
