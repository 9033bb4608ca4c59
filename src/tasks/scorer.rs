//! Scores of samples that are computed on the host during an evaluation.

use crate::cpu::Tensor;
use crate::data::Samples;
use crate::error::Result;

/// Scores samples on the host, for metrics that are no sums over samples of what a graph can compute, such as the mean average
/// precision of detections. Outputs are passed to it as they are computed and are not kept.
pub trait Scorer {
    /// Whether it needs the output `name` of the evaluation.
    fn needs(&self, name: &str) -> bool;

    /// Adds the sample `index` of `samples` with those outputs: name, shape without the batch axis, and values.
    ///
    /// # Errors
    /// If an output is missing or has another shape.
    fn add(
        &mut self,
        samples: &Samples,
        index: usize,
        outputs: &[(&str, &[usize], &[f32])],
    ) -> Result<()>;

    /// What was scored, which the [`Counters`](super::Counters) of the evaluation hold beside the sums from the device.
    ///
    /// # Errors
    /// If the samples can't be scored.
    fn counters(&mut self) -> Result<Vec<(&'static str, Tensor<f32>)>>;
}
