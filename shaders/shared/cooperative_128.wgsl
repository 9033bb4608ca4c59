// A tile of 128 x 128 outputs: 2 x 4 subgroups with 4 x 2 matrices each.
const TILE: u32 = 128u;
const SUBGROUP_ROWS: u32 = 2u;
const SUBGROUP_COLUMNS: u32 = 4u;
// Matrices of a subgroup along each side of its part.
const MATRIX_ROWS: u32 = 4u;
const MATRIX_COLUMNS: u32 = 2u;
