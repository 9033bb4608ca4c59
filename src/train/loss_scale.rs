//! Dynamic loss scaling, for products of 16-bit floats: they hold no number below 6e-8, as gradients often are. The loss
//! is multiplied by a power of two, and gradients are divided by it before they are used. A step whose gradients are not
//! finite is skipped: it changes no parameter, no state of an optimizer and no average. PyTorch `torch.amp.GradScaler`,
//! with its defaults; Micikevicius et al. 2018.

use crate::cpu::Tensor;
use crate::device::Device;
use crate::error::Result;
use crate::graph::{Builder, Var};
use crate::tasks::StepGraphCounters;
use crate::tensor::TensorType;

/// The counter of steps that were skipped.
const SKIPPED: &str = "skipped_steps";

/// The first scale.
const FIRST: f32 = 65_536.0;
/// Steps in a row without one that was skipped, after which the scale is doubled.
const INTERVAL: f64 = 2_000.0;
/// The scale is never above this: squares of gradients must stay finite.
const LARGEST: f64 = 16_777_216.0;

/// How the loss was scaled in mixed precision.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossScaling {
    /// The scale of the first phase of a step.
    pub scale: f32,
    /// Steps since counters were reset, of all phases, that changed nothing because their gradients overflowed.
    pub skipped: u64,
}

/// The scale of a phase, as nodes of a graph.
#[derive(Clone, Copy)]
pub(super) struct LossScale<'g> {
    /// The scale.
    factor: Var<'g>,
    /// Steps since it was changed, or one was skipped.
    steps: Var<'g>,
}

/// Names of the variables of a phase. No layer's name holds a colon, so no parameter has one of them.
fn names(phase: &str) -> [String; 2] {
    let prefix = match phase {
        "" => String::new(),
        _ => format!("{phase}."),
    };
    ["factor", "steps"].map(|term| format!("{prefix}loss_scale:{term}"))
}

/// The variables of a phase with their first values.
pub(super) fn state(phase: &str) -> [(String, Tensor<f32>); 2] {
    let [factor, steps] = names(phase);
    let scalar = |x: f32| Tensor::real([], vec![x]);
    [(factor, scalar(FIRST)), (steps, scalar(0.0))]
}

/// The scale of `phase`, and the steps that were skipped. Waits for the device.
///
/// # Errors
/// If the device failed.
pub(super) fn read(device: &dyn Device, phase: &str) -> Result<LossScaling> {
    let [factor, _] = names(phase);
    let scalar = |name: &str| -> Result<f32> { Ok(device.get(name)?.reals()[0]) };
    Ok(LossScaling {
        scale: scalar(&factor)?,
        skipped: scalar(&StepGraphCounters::full(SKIPPED))? as u64,
    })
}

impl<'g> LossScale<'g> {
    /// The scale of `phase`.
    ///
    /// # Errors
    /// If the name of a variable is taken.
    pub fn new(builder: &'g Builder, phase: &str) -> Result<LossScale<'g>> {
        let [factor, steps] = names(phase);
        Ok(LossScale {
            factor: builder.variable(&factor, TensorType::f32([]))?,
            steps: builder.variable(&steps, TensorType::f32([]))?,
        })
    }

    /// The loss whose gradients are to be computed.
    ///
    /// # Errors
    /// If it is no float.
    pub fn scaled(self, loss: Var<'g>) -> Result<Var<'g>> {
        loss.mul(self.factor)
    }

    /// Divides `grads`, those of the scaled loss, by the scale, lets `apply` add its updates with them, and makes these
    /// updates, like that of the scale itself, depend on whether all gradients are finite.
    ///
    /// # Errors
    /// If `apply` fails, or a gradient is no float tensor.
    pub fn guard(
        self,
        grads: &[Var<'g>],
        apply: impl FnOnce(Vec<Var<'g>>) -> Result<()>,
    ) -> Result<()> {
        let builder = self.factor.builder();
        let one = builder.constant(1.0);
        let inverse = one.div(self.factor)?;
        let grads: Vec<Var<'g>> = grads
            .iter()
            .map(|grad| grad.mul(inverse))
            .collect::<Result<_>>()?;
        let mut squares = builder.constant(0.0);
        for grad in &grads {
            squares = squares.add(grad.mul(*grad)?.sum_all()?)?;
        }
        // No relation holds for NaN.
        let finite = squares.lt(builder.constant(f64::from(f32::MAX)))?;
        let before = builder.updates();
        apply(grads)?;
        builder.revise_updates(before, |variable, value| finite.select(value, variable))?;
        self.update(finite)?;
        let skipped = StepGraphCounters::full(SKIPPED);
        let skipped = builder.variable(&skipped, TensorType::f32([]))?;
        builder.update(skipped, skipped.add(one.sub(finite)?)?)
    }

    fn update(self, finite: Var<'g>) -> Result<()> {
        let LossScale { factor, steps } = self;
        let builder = factor.builder();
        let [zero, one] = [0.0, 1.0].map(|x| builder.constant(x));
        let grown = factor.add(factor)?.minimum(builder.constant(LARGEST))?;
        let smaller = factor.mul(builder.constant(0.5))?.maximum(one)?;
        let more = steps.add(one)?;
        let full = more.ge(builder.constant(INTERVAL))?;
        let kept = full.select(grown, factor)?;
        builder.update(factor, finite.select(kept, smaller)?)?;
        let counted = full.select(zero, more)?;
        builder.update(steps, finite.select(counted, zero)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::{Variables, interpret};
    use std::collections::HashMap;
    use std::sync::Arc;

    /// A step of gradient descent on `w`, whose gradient is `slope` times the scale.
    fn step(variables: &mut Variables<f32>, slope: f64) {
        let builder = Builder::new();
        let w = builder.variable("w", TensorType::f32([2])).unwrap();
        let scale = LossScale::new(&builder, "").unwrap();
        let slope = builder.constant(slope).broadcast_to(&w.shape()).unwrap();
        let grad = scale.scaled(slope).unwrap();
        let apply = |grads: Vec<Var<'_>>| builder.update(w, w.sub(grads[0])?);
        scale.guard(&[grad], apply).unwrap();
        let graph = builder.finish().unwrap();
        interpret(&graph, variables, &HashMap::new()).unwrap();
    }

    fn started() -> Variables<f32> {
        let mut variables: Variables<f32> = HashMap::new();
        let mut set = |name: &str, value| variables.insert(name.to_string(), Arc::new(value));
        set("w", Tensor::real([2], vec![1.0, 1.0]));
        set("metrics:skipped_steps", Tensor::real([], vec![0.0]));
        for (name, value) in state("") {
            set(&name, value);
        }
        variables
    }

    #[test]
    fn a_step_that_overflows_changes_nothing_but_the_scale() {
        let mut variables = started();
        step(&mut variables, 0.25);
        assert_eq!(variables["w"].reals(), [0.75, 0.75]);
        assert_eq!(variables["loss_scale:steps"].reals(), [1.0]);
        for bad in [f64::from(f32::MAX), f64::NAN] {
            step(&mut variables, bad);
            assert_eq!(variables["w"].reals(), [0.75, 0.75], "{bad}");
        }
        assert_eq!(variables["metrics:skipped_steps"].reals(), [2.0]);
        assert_eq!(variables["loss_scale:factor"].reals(), [FIRST / 4.0]);
        assert_eq!(variables["loss_scale:steps"].reals(), [0.0]);
    }

    #[test]
    fn the_scale_grows_after_an_interval_without_overflow() {
        let mut variables = started();
        let almost = Arc::new(Tensor::real([], vec![INTERVAL as f32 - 1.0]));
        variables.insert("loss_scale:steps".to_string(), almost);
        step(&mut variables, 0.0);
        assert_eq!(variables["loss_scale:factor"].reals(), [2.0 * FIRST]);
        assert_eq!(variables["loss_scale:steps"].reals(), [0.0]);
    }
}
