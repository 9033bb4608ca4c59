// A tile of 64 x 64 outputs: 256 invocations with 4 x 4 outputs each.
const TILE: u32 = 64u;
// Number of k per step.
const TILE_K: u32 = 32u;
// Blocks of 4 outputs that an invocation has along each side of the tile.
const BLOCKS: u32 = 1u;
