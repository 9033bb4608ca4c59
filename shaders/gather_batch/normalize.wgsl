#import gather_batch/item

/// Bytes as the model sees them; `e` are their positions in the item, whose innermost axis is the channel.
fn normalized(byte: vec4<f32>, e: vec4<u32>) -> vec4<f32> {
    let channel = e % vec4<u32>(params.channels);
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
