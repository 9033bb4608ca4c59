// Every sample is as long as the longest.
fn exists(sample: u32, t: u32) -> bool { return true; }
