// Parameters of one step of a recurrent layer.
#import shared/grid
#import shared/division
struct Params {
    first_workgroup: u32,
    samples: u32,
    time: u32,
    // Units of the layer, in F.
    hidden: u32,
    // Workgroups along the units, and how many F of units each has.
    column_tiles: u32,
    tile_units: u32,
    // The position of this step, and of the launch before.
    t: u32,
    before: u32,
    // The position that the forward walk comes from; `time` where it starts.
    earlier: u32,
    // Numbers, in F, that the recurrent product sums: 0 in the first step.
    products: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
