// Invocations of a subgroup: the adapter has subgroups of this size and no other.
const LANES: u32 = 128u;
