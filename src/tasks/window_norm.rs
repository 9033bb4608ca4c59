//! Normalisation of each window of a series by its own statistics. Forecasts are transformed back, so a model forecasts changes,
//! however far the level has drifted since training.

use super::Fit;
use crate::data::{WindowNorm, field};
use crate::error::{Error, Result};
use crate::graph::Var;

/// Added to the variance, so that a constant column is not divided by 0.
const EPSILON: f64 = 1e-5;

impl WindowNorm {
    /// Checks that the samples are windows of a series if normalisation is requested.
    ///
    /// # Errors
    /// If they are not.
    pub(super) fn only_of_series(self, fit: &Fit<'_>) -> Result<()> {
        let shape = fit.samples.shape();
        let series = fit.samples.field(field::PAST).is_some() && shape[0] > 1;
        match self == WindowNorm::None || series {
            true => Ok(()),
            false => Err(Error::Config(format!(
                "data.window_norm is for series with windows of at least two rows, but the data are {} of {shape:?}; leave it out",
                fit.samples.noun()
            ))),
        }
    }

    /// The level of every column of the windows `x`, `[batch, rows, columns]`, and its standard deviation if windows are divided
    /// by it: each `[batch, 1, columns]`.
    fn level(self, x: Var<'_>) -> Result<Option<(Var<'_>, Option<Var<'_>>)>> {
        let shape = x.shape();
        let (rows, one) = (shape.dims()[1], [shape.dims()[0], 1, shape.dims()[2]]);
        match self {
            WindowNorm::None => Ok(None),
            WindowNorm::Last => Ok(Some((x.slice_axis(1, rows - 1..rows)?, None))),
            WindowNorm::Instance => {
                let mean = x.mean(&[1])?.reshape(one)?;
                let distance = x.sub(mean)?;
                let variance = distance.mul(distance)?.mean(&[1])?.reshape(one)?;
                let deviation = variance.add(x.builder().constant(EPSILON))?.sqrt()?;
                Ok(Some((mean, Some(deviation))))
            }
        }
    }

    /// The windows `x`, `[batch, rows, columns]`, normalised.
    pub(super) fn apply(self, x: Var<'_>) -> Result<Var<'_>> {
        match self.level(x)? {
            None => Ok(x),
            Some((level, None)) => x.sub(level),
            Some((level, Some(deviation))) => x.sub(level)?.div(deviation),
        }
    }

    /// The forecasts `y`, of any shape with `[batch, rows, columns]` elements, transformed back to the level of the windows
    /// that they follow: `seen`, `[batch, rows, columns]`, of the same columns.
    pub(super) fn undo<'g>(self, y: Var<'g>, seen: Var<'g>) -> Result<Var<'g>> {
        let Some((level, deviation)) = self.level(seen)? else {
            return Ok(y);
        };
        let shape = y.shape();
        let (batch, columns) = (seen.shape().dims()[0], seen.shape().last());
        let mut rows = y.reshape([batch, shape.elements() / (batch * columns), columns])?;
        if let Some(deviation) = deviation {
            rows = rows.mul(deviation)?;
        }
        rows.add(level)?.reshape(shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::{Tensor, interpret};
    use crate::graph::Builder;
    use crate::tensor::TensorType;
    use std::collections::HashMap;
    use std::sync::Arc;

    /// Windows `[1, 4, 2]`, normalised, and then transformed back by their own level.
    fn round_trip(norm: WindowNorm, x: [f64; 8]) -> [Vec<f64>; 2] {
        let builder = Builder::new();
        let window = builder.variable("x", TensorType::f32([1, 4, 2])).unwrap();
        let seen = norm.apply(window).unwrap();
        builder.output("seen", seen);
        let flat = seen.reshape([1, 8]).unwrap();
        builder.output("back", norm.undo(flat, window).unwrap());
        let graph = builder.finish().unwrap();
        let value = Arc::new(Tensor::real([1, 4, 2], x.to_vec()));
        let mut variables = HashMap::from([("x".to_string(), value)]);
        let outputs = interpret(&graph, &mut variables, &HashMap::new()).unwrap();
        [0, 1].map(|i| outputs[i].reals().to_vec())
    }

    #[test]
    fn what_is_brought_to_a_level_is_brought_back_to_its_own() {
        let x = [1.0, 10.0, 2.0, 14.0, 3.0, 10.0, 6.0, 14.0];
        for norm in [WindowNorm::None, WindowNorm::Last, WindowNorm::Instance] {
            let [_, back] = round_trip(norm, x);
            assert!(back.iter().zip(x).all(|(a, b)| (a - b).abs() < 1e-6));
        }
        let [seen, _] = round_trip(WindowNorm::Last, x);
        assert_eq!(seen, [-5.0, -4.0, -4.0, 0.0, -3.0, -4.0, 0.0, 0.0]);
        // Mean 12, deviation 2.
        let [seen, _] = round_trip(WindowNorm::Instance, x);
        assert!((seen[1] + 1.0).abs() < 1e-5 && (seen[3] - 1.0).abs() < 1e-5);
        // A column that does not change stays finite.
        let [seen, _] = round_trip(WindowNorm::Instance, [5.0; 8]);
        assert_eq!(seen, [0.0; 8]);
    }
}
