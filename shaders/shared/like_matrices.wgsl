// A contraction whose matrices are all alike: each has all segments, and the result is [batches, m, n], or [batches, n,
// m] with TRANSPOSE_OUT.
fn takes_segment(segment: u32, batch: u32) -> bool {
    return true;
}

fn result_line(line: u32, batch: u32) -> i32 {
    return i32(batch * extent(TRANSPOSE_OUT) + line);
}
