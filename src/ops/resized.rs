//! Images NHWC brought to another height and width: the shape rule and the launches of operations that do so.

use super::window::image_launch;
use crate::error::{Error, Result};
use crate::plan::{Launch, MAX_LOOP_ITERATIONS};
use crate::random::Stream;
use crate::tensor::{DType, Shape, TensorType};

/// The shape rule: `[N, H, W, C]` to `[N, OH, OW, C]` with `[OH, OW]` = `size`.
///
/// # Errors
/// A sentence that says what does not fit.
pub(super) fn infer(x: &TensorType, size: [usize; 2]) -> Result<TensorType, String> {
    // Kernels multiply an extent of the one image by up to four of the other, in 32 bits.
    const LARGEST_PRODUCT: usize = 1 << 28;
    let &[batch, height, width, channels] = x.dims() else {
        return Err(format!("takes f32[N,H,W,C], was given {x}"));
    };
    if x.dtype != DType::F32 || x.elements() == 0 {
        return Err(format!(
            "takes f32[N,H,W,C] that is not empty, was given {x}"
        ));
    }
    let fits = |from: usize, to: usize| {
        to > 0
            && from
                .checked_mul(to)
                .is_some_and(|product| product <= LARGEST_PRODUCT)
    };
    if !fits(height, size[0]) || !fits(width, size[1]) {
        return Err(format!(
            "can't bring {height} x {width} to {} x {}",
            size[0], size[1]
        ));
    }
    Ok(TensorType::f32([batch, size[0], size[1], channels]))
}

/// The type of the image whose shape is `input`, if `dy` is the gradient of it in `size`.
///
/// # Errors
/// A sentence that says what does not fit.
pub(super) fn infer_grad(
    dy: &TensorType,
    input: &Shape,
    size: [usize; 2],
) -> Result<TensorType, String> {
    let x = TensorType::f32(input.clone());
    let y = infer(&x, size)?;
    if *dy != y {
        return Err(format!("the gradient of a {y} can't be a {dy}"));
    }
    Ok(x)
}

/// A launch of `file` with one invocation for each F of `space`, which is one of the images `x` and `y`, that makes up to
/// `iterations`.
///
/// # Errors
/// If that is too many.
pub(super) fn launch(
    file: &str,
    [x, y, space]: [&TensorType; 3],
    iterations: usize,
) -> Result<Launch> {
    if iterations > MAX_LOOP_ITERATIONS {
        return Err(Error::Graph(format!(
            "{file} takes {iterations} steps for each result from {x} to {y}; go there in two steps"
        )));
    }
    Ok(image_launch(file, [x, y, space]))
}

/// Images and sizes that the cases share: larger, smaller, the same, by whole factors and not, channels in fours and not.
pub(super) fn cases(stream: &mut Stream) -> Vec<([usize; 4], [usize; 2])> {
    let mut odd = |least: u32, choices: u32| (least + stream.below(choices)) as usize;
    vec![
        ([2, 3, 4, 4], [6, 8]),
        (
            [odd(1, 2), odd(2, 5), odd(2, 5), odd(1, 6)],
            [odd(1, 9), odd(1, 9)],
        ),
        ([1, 7, 5, 8], [3, 2]),
        ([2, odd(3, 5), 1, 3], [odd(2, 9), 4]),
        ([1, 1, 1, 1], [3, 5]),
        ([3, 4, 6, 5], [1, 1]),
        ([1, 5, 4, 4], [5, 4]),
        ([1, 2, 3, 4], [15, 13]),
    ]
}
