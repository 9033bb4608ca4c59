// One invocation per row: for short rows, and for adapters where workgroup memory is slow.
const LANES: u32 = 1u;

/// The row that an invocation works on.
fn row_of(workgroup: u32, lane: u32) -> u32 { return workgroup * 64u + lane; }

/// The first position in the row that an invocation visits; it continues in steps of LANES.
fn first_of(lane: u32) -> u32 { return 0u; }

/// The maximum of the values of a row's invocations.
fn row_max(x: f32, lane: u32) -> f32 { return x; }

/// The sum of the values of a row's invocations.
fn row_sum(x: f32, lane: u32) -> f32 { return x; }
