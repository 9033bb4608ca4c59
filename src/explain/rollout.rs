//! Attention rollout (Abnar and Zuidema, "Quantifying Attention Flow in Transformers", 2020): the attention of the layers, each with
//! the way around it, multiplied from the first to the last.
//!
//! The kernel of attention stores no weights; they are computed here again from the queries and keys that it read.

use crate::nn::layers::TimePoolKind;
use crate::train::AttentionInput;

/// How much of each of the first `real` tokens reaches what is classified: shares whose sum is 1. What is classified is the mean of the
/// positions, or the first or the last one, as `pooling` says.
///
/// The row of what is classified is multiplied by the matrices from the last layer to the first, so that no matrix is stored.
pub(super) fn rollout(
    layers: &[AttentionInput],
    pooling: Option<TimePoolKind>,
    real: usize,
) -> Vec<f64> {
    let pooled = |position: usize| match pooling {
        Some(TimePoolKind::First) => f64::from(u8::from(position == 0)),
        Some(TimePoolKind::Last) => f64::from(u8::from(position + 1 == real)),
        Some(TimePoolKind::Mean) | None => 1.0 / real as f64,
    };
    let mut flow: Vec<f64> = (0..real).map(pooled).collect();
    for layer in layers.iter().rev() {
        let mut before: Vec<f64> = flow.iter().map(|own| 0.5 * own).collect();
        for (query, own) in flow.iter().enumerate() {
            for (sum, weight) in before.iter_mut().zip(attention(layer, query, real)) {
                *sum += 0.5 * own * weight;
            }
        }
        flow = before;
    }
    flow
}

/// The mean over heads of `softmax(q k / sqrt(D))` of one query among the first `real` positions: a row whose sum is 1.
fn attention(layer: &AttentionInput, query: usize, real: usize) -> Vec<f64> {
    let triple = layer.qkv.len() / layer.positions.max(1);
    let (width, heads) = (triple / 3, layer.heads.max(1));
    let size = width / heads;
    let part = |position: usize, which: usize, head: usize| -> &[f32] {
        let first = position * triple + which * width + head * size;
        layer.qkv.get(first..first + size).unwrap_or_default()
    };
    let keys = if layer.causal { query + 1 } else { real };
    let mut mean = vec![0.0; real];
    for head in 0..heads {
        let own = part(query, 0, head);
        let score = |key: usize| {
            let products = own.iter().zip(part(key, 1, head));
            let sum: f64 = products.map(|(q, k)| f64::from(*q) * f64::from(*k)).sum();
            sum / (size as f64).sqrt()
        };
        let scores: Vec<f64> = (0..keys).map(score).collect();
        let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let exps: Vec<f64> = scores.iter().map(|x| (x - largest).exp()).collect();
        let total: f64 = exps.iter().sum();
        for (weight, exp) in mean.iter_mut().zip(exps) {
            *weight += exp / total / heads as f64;
        }
    }
    mean
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One head of size 1, whose queries are 1 and whose keys are the logarithms of 1, 1 and 2, with a fourth position of padding.
    fn layer(causal: bool) -> AttentionInput {
        let key = |k: f32| [1.0, k, 9.0];
        AttentionInput {
            name: "attention".to_string(),
            qkv: [key(0.0), key(0.0), key(2.0f32.ln()), key(50.0)].concat(),
            positions: 4,
            heads: 1,
            causal,
        }
    }

    fn assert_near(found: &[f64], wanted: &[f64]) {
        assert_eq!(found.len(), wanted.len());
        for (a, b) in found.iter().zip(wanted) {
            assert!((a - b).abs() < 1e-6, "{found:?} is not {wanted:?}");
        }
    }

    #[test]
    fn weights_are_the_softmax_without_padding_and_later_positions() {
        let row = [0.25, 0.25, 0.5];
        for query in 0..3 {
            assert_near(&attention(&layer(false), query, 3), &row);
        }
        assert_near(&attention(&layer(true), 0, 3), &[1.0, 0.0, 0.0]);
        assert_near(&attention(&layer(true), 1, 3), &[0.5, 0.5, 0.0]);
        assert_near(&attention(&layer(true), 2, 3), &row);
    }

    #[test]
    fn layers_are_multiplied_with_the_way_around_them() {
        // One layer: half of the token itself, and half of what it attends to.
        let once = rollout(&[layer(false)], Some(TimePoolKind::First), 3);
        assert_near(&once, &[0.625, 0.125, 0.25]);
        let mean = rollout(&[layer(false)], Some(TimePoolKind::Mean), 3);
        assert_near(&mean, &[7.0 / 24.0, 7.0 / 24.0, 10.0 / 24.0]);
        // Two: the first row of the square of that matrix.
        let twice = rollout(&[layer(false), layer(false)], Some(TimePoolKind::First), 3);
        assert_near(&twice, &[0.4375, 0.1875, 0.375]);
        assert_near(&[twice.iter().sum()], &[1.0]);
        assert!(rollout(&[layer(false)], None, 0).is_empty());
    }
}
