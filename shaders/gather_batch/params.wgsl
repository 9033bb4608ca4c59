struct Params {
    first_workgroup: u32,
    invocations: u32,
    // Items in the data set.
    items: u32,
    // Length of the order.
    ordered: u32,
    // Invocations per item of the batch.
    item_steps: u32,
    // Scales and shifts repeat after 3 or 4 channels; with 3, the last ones are unused.
    period: u32,
    scale_0: f32,
    scale_1: f32,
    scale_2: f32,
    scale_3: f32,
    shift_0: f32,
    shift_1: f32,
    shift_2: f32,
    shift_3: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
