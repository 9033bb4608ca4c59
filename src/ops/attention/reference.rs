//! Attention and its gradient in plain loops, after the formulas.

use super::{Attention, Extents};
use crate::cpu::{Real, Tensor};
use rayon::prelude::*;

/// Queries, keys and values by sample, position and head.
struct Heads<'a, T> {
    qkv: &'a [T],
    e: Extents,
}

impl<'a, T> Heads<'a, T> {
    /// Query (part 0), key (1) or value (2) `t`.
    fn get(&self, sample: usize, t: usize, part: usize, head: usize) -> &'a [T] {
        let at = ((sample * self.e.time + t) * 3 + part) * self.e.width() + head * self.e.head_dim;
        &self.qkv[at..at + self.e.head_dim]
    }
}

fn dot<T: Real>(a: &[T], b: &[T]) -> T {
    a.iter().zip(b).map(|(&a, &b)| a * b).sum()
}

/// `y += a x`.
fn add_scaled<T: Real>(y: &mut [T], a: T, x: &[T]) {
    y.iter_mut().zip(x).for_each(|(y, &x)| *y += a * x);
}

/// How many positions, from the first, query `t` of a sample sees.
fn seen(op: Attention, e: Extents, lengths: Option<&[u32]>, sample: usize, t: usize) -> usize {
    let keys = lengths.map_or(e.time, |l| e.time.min(l[sample] as usize));
    if op.causal { keys.min(t + 1) } else { keys }
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

pub(super) fn forward<T: Real>(
    op: Attention,
    e: Extents,
    qkv: &[T],
    lengths: Option<&[u32]>,
) -> Tensor<T> {
    let heads = Heads { qkv, e };
    let mut y = vec![T::ZERO; e.batch * e.time * e.width()];
    y.par_chunks_mut(e.width())
        .enumerate()
        .for_each(|(position, y)| {
            let (sample, t) = (position / e.time, position % e.time);
            for (head, y) in y.chunks_mut(e.head_dim).enumerate() {
                let (scores, lse) =
                    scores(&heads, sample, t, head, seen(op, e, lengths, sample, t));
                for (k, &score) in scores.iter().enumerate() {
                    add_scaled(y, (score - lse).exp(), heads.get(sample, k, 2, head));
                }
            }
        });
    Tensor::real(e.result().shape, y)
}

pub(super) fn lse<T: Real>(
    op: Attention,
    e: Extents,
    qkv: &[T],
    lengths: Option<&[u32]>,
) -> Tensor<T> {
    let heads = Heads { qkv, e };
    let mut all = vec![T::ZERO; e.statistics().elements()];
    all.par_chunks_mut(e.padded())
        .enumerate()
        .for_each(|(row, all)| {
            let (sample, head) = (row / e.heads, row % e.heads);
            for (t, one) in all[..e.time].iter_mut().enumerate() {
                *one = scores(&heads, sample, t, head, seen(op, e, lengths, sample, t)).1;
            }
        });
    Tensor::real(e.statistics().shape, all)
}

pub(super) fn gradient<T: Real>(
    op: Attention,
    e: Extents,
    qkv: &[T],
    y: &[T],
    lse: &[T],
    dy: &[T],
    lengths: Option<&[u32]>,
) -> Tensor<T> {
    let heads = Heads { qkv, e };
    let scale = T::ONE / T::of(e.head_dim as f64).sqrt();
    let mut grads = vec![T::ZERO; qkv.len()];
    grads
        .par_chunks_mut(e.time * 3 * e.width())
        .enumerate()
        .for_each(|(sample, grads)| {
            let mut add = |t: usize, part: usize, head: usize, a: T, x: &[T]| {
                let at = (t * 3 + part) * e.width() + head * e.head_dim;
                add_scaled(&mut grads[at..at + e.head_dim], a, x);
            };
            for head in 0..e.heads {
                for t in 0..e.time {
                    let at = (sample * e.time + t) * e.width() + head * e.head_dim;
                    let (y, dy) = (&y[at..at + e.head_dim], &dy[at..at + e.head_dim]);
                    let delta = dot(y, dy);
                    let lse = lse[(sample * e.heads + head) * e.padded() + t];
                    let query = heads.get(sample, t, 0, head);
                    for k in 0..seen(op, e, lengths, sample, t) {
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
    Tensor::real([e.batch, e.time, 3 * e.width()], grads)
}
