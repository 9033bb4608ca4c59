// Parameters of one step of a recurrent layer.
#import shared/grid
#import shared/division
struct Params {
    first_workgroup: u32,
    samples: u32,
    time: u32,
    // Number of units of the layer, in F.
    hidden: u32,
    // Workgroups along the units, and units of each in F.
    column_tiles: u32,
    tile_units: u32,
    // The position of this step, and of the previous launch.
    t: u32,
    before: u32,
    // The previous position in the forward pass; `time` at its start.
    earlier: u32,
    // Length of the sum in the recurrent product, in F: 0 in the first step.
    products: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
