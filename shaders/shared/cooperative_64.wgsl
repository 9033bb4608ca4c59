// A tile of 64 x 64 outputs: 2 x 4 subgroups with 2 x 1 matrices each.
const TILE: u32 = 64u;
const SUBGROUP_ROWS: u32 = 2u;
const SUBGROUP_COLUMNS: u32 = 4u;
// Matrices of a subgroup along each side of its part.
const MATRIX_ROWS: u32 = 2u;
const MATRIX_COLUMNS: u32 = 1u;
