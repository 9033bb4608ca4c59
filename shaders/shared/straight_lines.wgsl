// Lines of A in a contraction whose elements have a constant stride.
fn a_element(line: Line, k: i32) -> Element {
    return Element(line.first <= k && k < line.end, line.base + k * line.stride);
}
