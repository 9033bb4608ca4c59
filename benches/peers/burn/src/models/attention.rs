//! Causal attention.

use burn::prelude::*;
use burn::tensor::module::attention;
use burn::tensor::ops::AttentionModuleOptions;

/// Attention of `[N, time, 3 * width]`, which are queries, keys and values side by side: `[N, time, width]`.
pub fn causal_attention(qkv: Tensor<3>, heads: usize) -> Tensor<3> {
    let [n, time, columns] = qkv.dims();
    let width = columns / 3;
    let part = |index: usize| -> Tensor<4> {
        qkv.clone()
            .narrow(2, index * width, width)
            .reshape([n, time, heads, width / heads])
            .swap_dims(1, 2)
    };
    let options = AttentionModuleOptions {
        is_causal: true,
        ..Default::default()
    };
    attention(part(0), part(1), part(2), None, None, options)
        .swap_dims(1, 2)
        .reshape([n, time, width])
}
