// A tile of 64 x 64 outputs: 256 invocations with 4 x 4 outputs each.
const TILE: u32 = 64u;
const INVOCATIONS: u32 = 256u;
// Invocations along each side of the tile, and blocks of 4 outputs that each has along it.
const ACROSS: u32 = 16u;
const BLOCKS: u32 = 1u;
// Number of times that an invocation copies 4 values of each operand per step.
const COPIES: u32 = 1u;
