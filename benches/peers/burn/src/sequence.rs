//! Causal attention by 4 heads of width 32 on 8 sequences, alone and with its gradient.

use crate::bench::{Bench, uniform};
use crate::models::causal_attention;
use burn::prelude::*;

const HEADS: usize = 4;
const WIDTH: usize = 128;

pub fn run(bench: &Bench) {
    for time in [64, 128, 256] {
        // Queries, keys and values side by side.
        let shape = [8, time, 3 * WIDTH];
        let suffix = format!("8x{HEADS}x{time}x{}", WIDTH / HEADS);
        let name = format!("attention_fwd_{suffix}");
        if bench.wanted(&name) {
            let qkv: Tensor<3> = uniform(shape, &bench.device);
            bench.measure(&name, || causal_attention(qkv.clone(), HEADS));
        }
        let name = format!("attention_fwdbwd_{suffix}");
        bench.with_gradient(&name, shape, |qkv| causal_attention(qkv, HEADS));
    }
}
