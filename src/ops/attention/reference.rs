//! Attention and its gradient in plain loops, after the formulas.

use super::Extents;
use crate::cpu::{Real, Tensor};
use crate::tensor::TensorType;
use rayon::prelude::*;

/// Queries, keys and values by sample, position and head.
pub(in crate::ops) struct Heads<'a, T> {
    pub parts: Parts<'a, T>,
    pub e: Extents,
    /// Whether a query only sees keys up to its own position.
    pub causal: bool,
    /// Number of keys of each sample that are no padding.
    pub lengths: Option<&'a [u32]>,
}

/// The operands that hold queries, keys and values.
#[derive(Clone, Copy)]
pub(in crate::ops) enum Parts<'a, T> {
    /// One: `[B, T, 3, E]`.
    Packed(&'a [T]),
    /// Queries `[B, T, E]`, and keys with values `[B, K, 2, E]`.
    Separate(&'a [T], &'a [T]),
}

impl<'a, T> Heads<'a, T> {
    /// Query (part 0), key (1) or value (2) `t`.
    fn get(&self, sample: usize, t: usize, part: usize, head: usize) -> &'a [T] {
        let e = self.e;
        let (values, row) = match (&self.parts, part) {
            (&Parts::Packed(qkv), _) => (qkv, (sample * e.time + t) * 3 + part),
            (&Parts::Separate(q, _), 0) => (q, sample * e.time + t),
            (&Parts::Separate(_, kv), _) => (kv, (sample * e.keys + t) * 2 + part - 1),
        };
        let at = row * e.width() + head * e.head_dim;
        &values[at..at + e.head_dim]
    }

    /// The row of a sample's gradient that belongs to query, key or value `t`.
    fn grad_row(&self, t: usize, part: usize) -> usize {
        match (&self.parts, part) {
            (Parts::Packed(_), _) => t * 3 + part,
            (Parts::Separate(..), 0) => t,
            (Parts::Separate(..), _) => self.e.time + 2 * t + part - 1,
        }
    }

    /// How many keys, from the first, query `t` of a sample sees.
    fn seen(&self, sample: usize, t: usize) -> usize {
        let keys = self.e.keys;
        let keys = self.lengths.map_or(keys, |l| keys.min(l[sample] as usize));
        if self.causal { keys.min(t + 1) } else { keys }
    }
}

fn dot<T: Real>(a: &[T], b: &[T]) -> T {
    a.iter().zip(b).map(|(&a, &b)| a * b).sum()
}

/// `y += a x`.
fn add_scaled<T: Real>(y: &mut [T], a: T, x: &[T]) {
    y.iter_mut().zip(x).for_each(|(y, &x)| *y += a * x);
}

/// Scores of one query, with their logarithm of the sum of exponentials; 0 for no scores.
fn scores<T: Real>(
    heads: &Heads<'_, T>,
    sample: usize,
    t: usize,
    head: usize,
    keys: usize,
) -> (Vec<T>, T) {
    let scale = T::ONE / T::of(heads.e.head_dim as f64).sqrt();
    let query = heads.get(sample, t, 0, head);
    let scores: Vec<T> = (0..keys)
        .map(|k| scale * dot(query, heads.get(sample, k, 1, head)))
        .collect();
    let Some(&first) = scores.first() else {
        return (scores, T::ZERO);
    };
    let maximum = scores.iter().fold(first, |m, &s| m.max(s));
    let sum: T = scores.iter().map(|&s| (s - maximum).exp()).sum();
    (scores, maximum + sum.ln())
}

pub(in crate::ops) fn forward<T: Real>(heads: &Heads<'_, T>) -> Tensor<T> {
    let e = heads.e;
    let mut y = vec![T::ZERO; e.batch * e.time * e.width()];
    y.par_chunks_mut(e.width())
        .enumerate()
        .for_each(|(position, y)| {
            let (sample, t) = (position / e.time, position % e.time);
            for (head, y) in y.chunks_mut(e.head_dim).enumerate() {
                let (scores, lse) = scores(heads, sample, t, head, heads.seen(sample, t));
                for (k, &score) in scores.iter().enumerate() {
                    add_scaled(y, (score - lse).exp(), heads.get(sample, k, 2, head));
                }
            }
        });
    Tensor::real(e.result().shape, y)
}

pub(in crate::ops) fn lse<T: Real>(heads: &Heads<'_, T>) -> Tensor<T> {
    let e = heads.e;
    let mut all = vec![T::ZERO; e.statistics().elements()];
    all.par_chunks_mut(e.padded())
        .enumerate()
        .for_each(|(row, all)| {
            let (sample, head) = (row / e.heads, row % e.heads);
            for (t, one) in all[..e.time].iter_mut().enumerate() {
                *one = scores(heads, sample, t, head, heads.seen(sample, t)).1;
            }
        });
    Tensor::real(e.statistics().shape, all)
}

/// The gradient of queries, keys and values, laid out as `output`.
pub(in crate::ops) fn gradient<T: Real>(
    heads: &Heads<'_, T>,
    y: &[T],
    lse: &[T],
    dy: &[T],
    output: &TensorType,
) -> Tensor<T> {
    let e = heads.e;
    let scale = T::ONE / T::of(e.head_dim as f64).sqrt();
    let mut grads = vec![T::ZERO; output.elements()];
    let each = grads.len() / e.batch;
    grads
        .par_chunks_mut(each)
        .enumerate()
        .for_each(|(sample, grads)| {
            let mut add = |t: usize, part: usize, head: usize, a: T, x: &[T]| {
                let at = heads.grad_row(t, part) * e.width() + head * e.head_dim;
                add_scaled(&mut grads[at..at + e.head_dim], a, x);
            };
            for head in 0..e.heads {
                for t in 0..e.time {
                    let at = (sample * e.time + t) * e.width() + head * e.head_dim;
                    let (y, dy) = (&y[at..at + e.head_dim], &dy[at..at + e.head_dim]);
                    let delta = dot(y, dy);
                    let lse = lse[(sample * e.heads + head) * e.padded() + t];
                    let query = heads.get(sample, t, 0, head);
                    for k in 0..heads.seen(sample, t) {
                        let (key, value) =
                            (heads.get(sample, k, 1, head), heads.get(sample, k, 2, head));
                        let p = (scale * dot(query, key) - lse).exp();
                        let ds = scale * p * (dot(dy, value) - delta);
                        add(t, 0, head, ds, key);
                        add(k, 1, head, ds, query);
                        add(k, 2, head, p, dy);
                    }
                }
            }
        });
    Tensor::real(output.shape.clone(), grads)
}
