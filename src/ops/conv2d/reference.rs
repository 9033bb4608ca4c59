//! The three passes as plain loops over the formula. Each is parallel over its outermost independent axis, and its
//! innermost loop accesses memory in order.

use super::{Conv2d, Extents};
use crate::cpu::{Real, Tensor};
use rayon::prelude::*;

/// The input position under tap `tap` of output position `out` along one axis, if it is inside the image.
fn tap_position(conv: &Conv2d, e: &Extents, axis: usize, out: usize, tap: usize) -> Option<usize> {
    let position = out * conv.stride[axis] + tap * conv.dilation[axis];
    position
        .checked_sub(conv.padding[axis][0])
        .filter(|&p| p < e.input[axis])
}

/// Y from X and W. The weights are reordered so that the output channels are innermost.
pub(super) fn forward<T: Real>(conv: &Conv2d, e: &Extents, x: &[T], w: &[T]) -> Tensor<T> {
    let ([kh, kw], [_, ow]) = (e.kernel, e.output);
    let (co, gci, gco) = (
        e.out_channels,
        e.group_channels,
        e.out_channels / conv.groups,
    );
    let row = kh * kw * gci;
    let columns: Vec<T> = (0..w.len()).map(|i| w[i % co * row + i / co]).collect();
    let mut y = vec![T::ZERO; e.y().elements()];
    y.par_chunks_mut(ow * co).enumerate().for_each(|(line, y)| {
        let (n, oy) = (line / e.output[0], line % e.output[0]);
        for ox in 0..ow {
            for ky in 0..kh {
                let Some(iy) = tap_position(conv, e, 0, oy, ky) else {
                    continue;
                };
                for kx in 0..kw {
                    let Some(ix) = tap_position(conv, e, 1, ox, kx) else {
                        continue;
                    };
                    let pixel = ((n * e.input[0] + iy) * e.input[1] + ix) * e.channels;
                    for channel in 0..e.channels {
                        let (group, ci) = (channel / gci, channel % gci);
                        let value = x[pixel + channel];
                        let weights =
                            &columns[((ky * kw + kx) * gci + ci) * co + group * gco..][..gco];
                        let sums = &mut y[ox * co + group * gco..][..gco];
                        for (sum, &weight) in sums.iter_mut().zip(weights) {
                            *sum += value * weight;
                        }
                    }
                }
            }
        }
    });
    Tensor::real(e.y().shape, y)
}

/// dX from dY and W.
pub(super) fn input_grad<T: Real>(conv: &Conv2d, e: &Extents, dy: &[T], w: &[T]) -> Tensor<T> {
    let ([kh, kw], [oh, ow]) = (e.kernel, e.output);
    let (co, gci, gco) = (
        e.out_channels,
        e.group_channels,
        e.out_channels / conv.groups,
    );
    let image = e.input[0] * e.input[1] * e.channels;
    let mut dx = vec![T::ZERO; e.x().elements()];
    dx.par_chunks_mut(image).enumerate().for_each(|(n, dx)| {
        for oy in 0..oh {
            for ky in 0..kh {
                let Some(iy) = tap_position(conv, e, 0, oy, ky) else {
                    continue;
                };
                for ox in 0..ow {
                    let grads = &dy[((n * oh + oy) * ow + ox) * co..][..co];
                    for kx in 0..kw {
                        let Some(ix) = tap_position(conv, e, 1, ox, kx) else {
                            continue;
                        };
                        for (o, &grad) in grads.iter().enumerate() {
                            let weights = &w[((o * kh + ky) * kw + kx) * gci..][..gci];
                            let sums = &mut dx
                                [(iy * e.input[1] + ix) * e.channels + o / gco * gci..][..gci];
                            for (sum, &weight) in sums.iter_mut().zip(weights) {
                                *sum += grad * weight;
                            }
                        }
                    }
                }
            }
        }
    });
    Tensor::real(e.x().shape, dx)
}

/// dW from X and dY.
pub(super) fn weight_grad<T: Real>(conv: &Conv2d, e: &Extents, x: &[T], dy: &[T]) -> Tensor<T> {
    let ([kh, kw], [oh, ow]) = (e.kernel, e.output);
    let (co, gci, gco) = (
        e.out_channels,
        e.group_channels,
        e.out_channels / conv.groups,
    );
    let mut dw = vec![T::ZERO; e.w().elements()];
    dw.par_chunks_mut(kh * kw * gci)
        .enumerate()
        .for_each(|(o, dw)| {
            for line in 0..e.batch * oh {
                let (n, oy) = (line / oh, line % oh);
                for ky in 0..kh {
                    let Some(iy) = tap_position(conv, e, 0, oy, ky) else {
                        continue;
                    };
                    for ox in 0..ow {
                        let grad = dy[(line * ow + ox) * co + o];
                        for kx in 0..kw {
                            let Some(ix) = tap_position(conv, e, 1, ox, kx) else {
                                continue;
                            };
                            let pixel = ((n * e.input[0] + iy) * e.input[1] + ix) * e.channels;
                            let values = &x[pixel + o / gco * gci..][..gci];
                            for (sum, &value) in
                                dw[(ky * kw + kx) * gci..][..gci].iter_mut().zip(values)
                            {
                                *sum += grad * value;
                            }
                        }
                    }
                }
            }
        });
    Tensor::real(e.w().shape, dw)
}
