//! The losses of detectors, for each place.

use crate::error::Result;
use crate::graph::Var;

/// Share of the places with an object in the focal loss.
const ALPHA: f64 = 0.25;
/// Focusing exponent of the focal loss.
const GAMMA: f64 = 2.0;

/// Focal loss of `logits` with `targets`, 0 or 1, element by element: `alpha_t (1 - p_t)^gamma` times the binary cross-entropy, with
/// alpha 0.25 and gamma 2 (Lin et al., "Focal Loss for Dense Object Detection", 2017). torchvision `sigmoid_focal_loss`.
///
/// # Errors
/// If the shapes do not broadcast.
pub(super) fn focal<'g>(logits: Var<'g>, targets: Var<'g>) -> Result<Var<'g>> {
    let builder = logits.builder();
    let entropy = logits.bce_with_logits(targets)?;
    // The cross-entropy is -log p_t.
    let missing = builder.constant(1.0).sub(entropy.neg()?.exp()?)?;
    let share = targets
        .scale(2.0 * ALPHA - 1.0)?
        .add(builder.constant(1.0 - ALPHA))?;
    entropy.mul(missing.powf(GAMMA)?)?.mul(share)
}

/// Generalised IoU loss of boxes around the same places (Rezatofighi et al., "Generalized Intersection over Union", 2019):
/// `1 - IoU + (enclosing - union) / enclosing`. `predicted` and `wanted` are `[..., 4]`, distances above 0 to the left, upper, right and
/// lower side; the result is `[..., 1]`. torchvision `generalized_box_iou_loss`.
///
/// # Errors
/// If the shapes differ.
pub(super) fn giou<'g>(predicted: Var<'g>, wanted: Var<'g>) -> Result<Var<'g>> {
    let axis = predicted.shape().rank() - 1;
    let area = |sides: Var<'g>| -> Result<Var<'g>> {
        let side = |at: usize| sides.slice_axis(axis, at..at + 1);
        let (width, height) = (side(0)?.add(side(2)?)?, side(1)?.add(side(3)?)?);
        width.mul(height)
    };
    let one = predicted.builder().constant(1.0);
    let intersection = area(predicted.minimum(wanted)?)?;
    let union = area(predicted)?.add(area(wanted)?)?.sub(intersection)?;
    let enclosing = area(predicted.maximum(wanted)?)?;
    let (iou, cover) = (intersection.div(union)?, union.div(enclosing)?);
    // 1 - iou + 1 - union / enclosing.
    one.sub(iou)?.add(one.sub(cover)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::{Tensor, interpret};
    use crate::graph::Builder;
    use crate::tensor::TensorType;
    use std::collections::HashMap;
    use std::sync::Arc;

    /// The losses of `a` with `b`, and the gradient of their sum for `a`.
    fn computed(
        loss: for<'g> fn(Var<'g>, Var<'g>) -> Result<Var<'g>>,
        shape: [usize; 2],
        a: &[f64],
        b: &[f64],
    ) -> [Vec<f64>; 2] {
        let builder = Builder::new();
        let [x, t] = ["a", "b"].map(|name| builder.input(name, TensorType::f32(shape)));
        let losses = loss(x, t).unwrap();
        let gradient = crate::autodiff::gradients(losses.sum_all().unwrap(), &[x]).unwrap();
        builder.output("losses", losses);
        builder.output("gradient", gradient[0]);
        let graph = builder.finish().unwrap();
        let value = |values: &[f64]| Arc::new(Tensor::real(shape, values.to_vec()));
        let inputs = HashMap::from([("a".to_string(), value(a)), ("b".to_string(), value(b))]);
        let outputs: Vec<Arc<Tensor<f64>>> =
            interpret(&graph, &mut HashMap::new(), &inputs).unwrap();
        [0, 1].map(|at| outputs[at].reals().to_vec())
    }

    #[track_caller]
    fn close(got: &[f64], wanted: &[f64]) {
        assert_eq!(got.len(), wanted.len());
        for (got, wanted) in got.iter().zip(wanted) {
            assert!((got - wanted).abs() < 1e-6, "{got} is not {wanted}");
        }
    }

    /// Expected values from torchvision `sigmoid_focal_loss(x, t, alpha=0.25, gamma=2)` in double precision.
    #[test]
    fn focal_loss_is_that_of_torchvision() {
        let [losses, gradient] = computed(focal, [1, 6], &FOCAL[0], &FOCAL[1]);
        close(&losses, &FOCAL[2]);
        close(&gradient, &FOCAL[3]);
    }

    /// Expected values from torchvision `generalized_box_iou_loss` of the boxes around (20, 20), in double precision.
    #[test]
    fn giou_loss_is_that_of_torchvision() {
        let [losses, gradient] = computed(giou, [3, 4], GIOU[0], GIOU[1]);
        close(&losses, GIOU[2]);
        close(&gradient, GIOU[3]);
    }

    /// Logits, targets, losses, gradient.
    const FOCAL: [[f64; 6]; 4] = [
        [-3.0, -0.5, 0.25, 2.0, 5.0, -6.0],
        [0.0, 1.0, 0.0, 1.0, 0.0, 1.0],
        [
            8.196249337274802e-05,
            0.09435290021485244,
            0.19577391862682325,
            0.00045089070881009483,
            3.7049409162525615,
            1.4932071656782415,
        ],
        [
            0.00023615388486621075,
            -0.13153795546864577,
            0.30468255975152037,
            -0.0012177350488481945,
            0.7846348821112993,
            -0.25553439148317675,
        ],
    ];

    /// Sides that are predicted and wanted, losses, gradient.
    const GIOU: [&[f64]; 4] = [
        &[3.0, 4.0, 5.0, 2.0, 1.0, 1.0, 1.0, 1.0, 8.0, 2.5, 0.5, 6.0],
        &[2.5, 4.5, 6.0, 2.5, 3.0, 4.0, 2.0, 5.0, 0.5, 7.0, 9.0, 1.0],
        &[0.28793650793650793, 0.9111111111111111, 1.3208430043998467],
        &[
            0.08411118165784831,
            -0.12217650793650794,
            -0.096,
            -0.12217650793650794,
            -0.044444444444444446,
            -0.044444444444444446,
            -0.044444444444444446,
            -0.044444444444444446,
            0.0014864165148360323,
            -0.03959228439711927,
            -0.045968834387947105,
            0.013341210642720397,
        ],
    ];
}
