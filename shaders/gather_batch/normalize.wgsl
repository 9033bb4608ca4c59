#import gather_batch/item

/// Four neighbouring bytes, normalised; `phase` is the channel of the first, modulo the period.
fn normalized(byte: vec4<f32>, phase: u32) -> vec4<f32> {
    var channel = vec4<u32>(phase) + vec4<u32>(0u, 1u, 2u, 3u);
    channel = select(channel, channel - params.period, channel >= vec4<u32>(params.period));
    var scale = vec4<f32>(params.scale_0);
    var shift = vec4<f32>(params.shift_0);
    scale = select(scale, vec4<f32>(params.scale_1), channel == vec4<u32>(1u));
    shift = select(shift, vec4<f32>(params.shift_1), channel == vec4<u32>(1u));
    scale = select(scale, vec4<f32>(params.scale_2), channel == vec4<u32>(2u));
    shift = select(shift, vec4<f32>(params.shift_2), channel == vec4<u32>(2u));
    scale = select(scale, vec4<f32>(params.scale_3), channel == vec4<u32>(3u));
    shift = select(shift, vec4<f32>(params.shift_3), channel == vec4<u32>(3u));
    return byte * scale + shift;
}

/// The phase of the byte four bytes later.
fn next(phase: u32) -> u32 {
    let on = phase + 4u - params.period;
    return select(on, on - params.period, on >= params.period);
}
