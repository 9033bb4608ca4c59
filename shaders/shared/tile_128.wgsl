// A tile of 128 x 128 outputs, for large results: 256 invocations with 8 x 8 outputs each.
const TILE: u32 = 128u;
const INVOCATIONS: u32 = 256u;
// Invocations along each side of the tile, and blocks of 4 outputs that each has along it.
const ACROSS: u32 = 16u;
const BLOCKS: u32 = 2u;
// Number of times that an invocation copies 4 values of each operand per step.
const COPIES: u32 = 2u;
