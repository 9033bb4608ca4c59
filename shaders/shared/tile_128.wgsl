// A tile of 128 x 128 outputs: 256 invocations, 8 x 8 outputs each: for large results.
const TILE: u32 = 128u;
const INVOCATIONS: u32 = 256u;
// Invocations along either side of the tile, and blocks of 4 outputs that each has along it.
const ACROSS: u32 = 16u;
const BLOCKS: u32 = 2u;
// Times 4 values that an invocation copies of each operand in a step.
const COPIES: u32 = 2u;
