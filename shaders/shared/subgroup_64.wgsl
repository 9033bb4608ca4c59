// Subgroup size: the adapter has only subgroups of this size.
const LANES: u32 = 64u;
