// All samples have the full length.
fn exists(sample: u32, t: u32) -> bool { return true; }
