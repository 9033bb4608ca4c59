// Windows that divide an axis of `extent` into `outputs`: window o covers floor(o extent / outputs) to ceil((o + 1)
// extent / outputs). Neighbouring windows overlap where the division has a remainder.
fn covers(o: u32, extent: u32, outputs: u32) -> Range {
    return Range(divide(o * extent, outputs), divide((o + 1u) * extent + outputs - 1u, outputs));
}
