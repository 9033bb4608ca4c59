// A tile of 128 x 128 outputs, for large results: 256 invocations with 8 x 8 outputs each.
const TILE: u32 = 128u;
// Number of k per step.
const TILE_K: u32 = 16u;
// Blocks of 4 outputs that an invocation has along each side of the tile.
const BLOCKS: u32 = 2u;
