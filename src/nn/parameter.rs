//! Weights and other state of layers: their initialisation, and their layout in files.

use super::features::FeatureOrder;
use crate::cpu::Tensor;
use crate::ops::rotary::{rotary_table, sinusoidal_table};
use crate::random::{Purpose, Stream};
use crate::tensor::{Shape, TensorType};
use std::sync::Arc;

/// A tensor of a network that persists across steps: a weight, or a statistic.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// PyTorch-style name: `conv1.weight`.
    pub name: String,
    /// Type in the engine.
    pub ty: TensorType,
    /// Initialisation.
    pub init: Init,
    /// Layout in files.
    pub layout: Layout,
    /// The value that it starts with instead, for networks from files.
    pub given: Option<Arc<Tensor<f32>>>,
}

/// Initialisation of a parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// All elements are equal.
    Constant(f64),
    /// Uniform within `limit` of 0.
    Uniform {
        /// The largest magnitude.
        limit: f64,
    },
    /// Normal around 0.
    Normal {
        /// Standard deviation.
        std: f64,
    },
    /// Rows of the matrix `[first axis, the others]`, or its columns if those are fewer, that are orthogonal to each other and have
    /// the length `gain`.
    Orthogonal {
        /// Length of each.
        gain: f64,
    },
    /// Constants that follow from the shape `[time, size]`.
    Table(PositionTable),
}

/// A table with a row for every position.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PositionTable {
    /// [`sinusoidal_table`].
    Sinusoidal,
    /// [`rotary_table`].
    Rotary {
        /// Base of the wavelengths.
        base: f64,
    },
}

impl PositionTable {
    /// The table for `time` positions, `[time, size]`.
    fn numbers(self, time: usize, size: usize) -> Tensor<f32> {
        match self {
            PositionTable::Sinusoidal => sinusoidal_table(time, size),
            PositionTable::Rotary { base } => rotary_table(time, size, base),
        }
    }
}

/// Layout of a parameter in files, which follow PyTorch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layout {
    /// As in the engine.
    Same,
    /// A convolution's weights: O-KH-KW-I in the engine, O-I-KH-KW in files.
    Conv,
    /// A one-dimensional convolution's weights: O-1-K-I in the engine, O-I-K in files.
    Conv1d,
    /// Rows of features, or one, in this order.
    Features(FeatureOrder),
}

impl Parameter {
    /// The initial value for `seed`; `index` is the parameter's position in the network.
    pub fn initial(&self, seed: u64, index: u32) -> Tensor<f32> {
        if let Some(given) = &self.given {
            return (**given).clone();
        }
        let n = self.ty.elements();
        let mut stream = Stream::new(seed, Purpose::Weights.stream(index));
        let values = match self.init {
            Init::Constant(value) => vec![value as f32; n],
            Init::Uniform { limit } => {
                let limit = limit as f32;
                (0..n).map(|_| stream.range(-limit, limit)).collect()
            }
            Init::Normal { std } => (0..n).map(|_| std as f32 * stream.normal()).collect(),
            Init::Orthogonal { gain } => {
                let rows = self.ty.dims().first().copied().unwrap_or(1).max(1);
                orthogonal(rows, n / rows, gain, &mut stream)
            }
            Init::Table(table) => return table.numbers(self.ty.dims()[0], self.ty.shape.last()),
        };
        Tensor::real(self.ty.shape.clone(), values)
    }

    /// Whether it is stored in files; tables, which follow from their shapes, are not.
    pub fn in_files(&self) -> bool {
        !matches!(self.init, Init::Table(_))
    }

    /// Shape in files.
    pub fn file_shape(&self) -> Shape {
        match (&self.layout, self.ty.dims()) {
            (Layout::Conv, &[o, kh, kw, i]) => [o, i, kh, kw].into(),
            (Layout::Conv1d, &[o, 1, k, i]) => [o, i, k].into(),
            _ => self.ty.shape.clone(),
        }
    }

    /// For every element in file order, its index in the engine.
    fn file_order(&self) -> Vec<usize> {
        match (&self.layout, self.ty.dims()) {
            (Layout::Conv | Layout::Conv1d, &[o, kh, kw, i]) => (0..o * i * kh * kw)
                .map(|at| {
                    let (x, rest) = (at % kw, at / kw);
                    let (y, rest) = (rest % kh, rest / kh);
                    let (channel, filter) = (rest % i, rest / i);
                    ((filter * kh + y) * kw + x) * i + channel
                })
                .collect(),
            (Layout::Features(order), _) => {
                let features = self.ty.shape.last();
                let places = order.places(features);
                let rows = (0..self.ty.elements()).step_by(features.max(1));
                rows.flat_map(|row| places.iter().map(move |at| row + at))
                    .collect()
            }
            _ => (0..self.ty.elements()).collect(),
        }
    }

    /// Elements of `value` in file order.
    pub fn to_file(&self, value: &Tensor<f32>) -> Vec<f32> {
        let inside = value.reals();
        self.file_order().into_iter().map(|at| inside[at]).collect()
    }

    /// The tensor with the elements `values` in file order.
    pub fn from_file(&self, values: &[f32]) -> Tensor<f32> {
        let mut inside = vec![0.0; values.len()];
        for (at, &value) in self.file_order().into_iter().zip(values) {
            inside[at] = value;
        }
        Tensor::real(self.ty.shape.clone(), inside)
    }
}

/// A matrix of `rows * columns` elements, of normal numbers made orthogonal one after another (Gram and Schmidt, twice because of
/// rounding): the factor Q of a QR decomposition in which the diagonal of R is positive.
fn orthogonal(rows: usize, columns: usize, gain: f64, stream: &mut Stream) -> Vec<f32> {
    let (count, length) = (rows.min(columns), rows.max(columns));
    let mut vectors: Vec<Vec<f64>> = Vec::with_capacity(count);
    while vectors.len() < count {
        let mut vector: Vec<f64> = (0..length).map(|_| f64::from(stream.normal())).collect();
        for other in vectors.iter().chain(&vectors) {
            let along: f64 = other.iter().zip(&vector).map(|(a, b)| a * b).sum();
            let each = vector.iter_mut().zip(other);
            each.for_each(|(x, other)| *x -= along * other);
        }
        let norm = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
        // Normal numbers are almost never dependent.
        if norm > 1e-6 {
            vector.iter_mut().for_each(|x| *x /= norm);
            vectors.push(vector);
        }
    }
    let element = |at: usize| match (at / columns, at % columns) {
        (row, column) if rows <= columns => vectors[row][column],
        (row, column) => vectors[column][row],
    };
    let elements = (0..rows * columns).map(element);
    elements.map(|x| (gain * x) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orthogonal_rows_or_columns_have_the_length_of_the_gain() {
        for (rows, columns) in [(3, 8), (8, 3), (4, 4), (1, 5)] {
            let values = orthogonal(rows, columns, 1.5, &mut Stream::new(1, 1));
            let at = |row: usize, column: usize| f64::from(values[row * columns + column]);
            let count = rows.min(columns);
            for a in 0..count {
                for b in 0..count {
                    let product: f64 = match rows <= columns {
                        true => (0..columns).map(|c| at(a, c) * at(b, c)).sum(),
                        false => (0..rows).map(|r| at(r, a) * at(r, b)).sum(),
                    };
                    let wanted = if a == b { 2.25 } else { 0.0 };
                    assert!(
                        (product - wanted).abs() < 1e-5,
                        "{rows}x{columns}: {product}"
                    );
                }
            }
        }
    }

    fn parameter(dims: &[usize], layout: Layout) -> Parameter {
        Parameter {
            name: "w".into(),
            ty: TensorType::f32(dims.to_vec()),
            init: Init::Constant(0.0),
            layout,
            given: None,
        }
    }

    #[test]
    fn convolution_weights_are_written_channels_before_taps() {
        let p = parameter(&[1, 1, 2, 3], Layout::Conv);
        let inside = Tensor::real([1, 1, 2, 3], vec![0., 1., 2., 10., 11., 12.]);
        assert_eq!(p.file_shape(), Shape::from([1, 3, 1, 2]));
        assert_eq!(p.to_file(&inside), [0., 10., 1., 11., 2., 12.]);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let flattened = Layout::Features(FeatureOrder::image([2, 3, 4]));
        let shapes: [(&[usize], Layout); 4] = [
            (&[4, 3, 2, 5], Layout::Conv),
            (&[4, 1, 3, 5], Layout::Conv1d),
            (&[3, 24], flattened.clone()),
            (&[24], flattened),
        ];
        for (dims, layout) in shapes {
            let p = parameter(dims, layout);
            let n = p.ty.elements();
            let value = Tensor::real(dims.to_vec(), (0..n).map(|i| i as f32).collect());
            assert_ne!(p.to_file(&value), value.reals());
            assert_eq!(p.from_file(&p.to_file(&value)), value);
        }
    }
}
