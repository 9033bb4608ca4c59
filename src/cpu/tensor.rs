//! Tensors of the reference: a shape and a vector.

use super::Real;
use crate::tensor::{DType, Shape, TensorType};

/// Elements of a reference tensor, row-major.
#[derive(Clone, Debug, PartialEq)]
pub enum Data<T> {
    /// Elements of a [`DType::F32`] tensor, in the precision of the run.
    Real(Vec<T>),
    /// Elements of a [`DType::U32`] tensor.
    Index(Vec<u32>),
}

/// A tensor of the reference.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor<T> {
    /// Extents.
    pub shape: Shape,
    /// Elements.
    pub data: Data<T>,
}

impl<T: Real> Tensor<T> {
    /// A float tensor. `values` must have as many elements as `shape`.
    pub fn real(shape: impl Into<Shape>, values: Vec<T>) -> Self {
        let shape = shape.into();
        assert_eq!(
            shape.elements(),
            values.len(),
            "{shape} does not hold {}",
            values.len()
        );
        Tensor {
            shape,
            data: Data::Real(values),
        }
    }

    /// An integer tensor. `values` must have as many elements as `shape`.
    pub fn index(shape: impl Into<Shape>, values: Vec<u32>) -> Self {
        let shape = shape.into();
        assert_eq!(
            shape.elements(),
            values.len(),
            "{shape} does not hold {}",
            values.len()
        );
        Tensor {
            shape,
            data: Data::Index(values),
        }
    }

    /// A tensor of `ty` filled with zeros.
    pub fn zeros(ty: &TensorType) -> Self {
        let data = match ty.dtype {
            DType::F32 => Data::Real(vec![T::ZERO; ty.elements()]),
            DType::U32 => Data::Index(vec![0; ty.elements()]),
        };
        Tensor {
            shape: ty.shape.clone(),
            data,
        }
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        match self.data {
            Data::Real(_) => DType::F32,
            Data::Index(_) => DType::U32,
        }
    }

    /// Element type and shape.
    pub fn ty(&self) -> TensorType {
        TensorType {
            dtype: self.dtype(),
            shape: self.shape.clone(),
        }
    }

    /// Whether no element is infinite or NaN.
    pub fn is_finite(&self) -> bool {
        match &self.data {
            Data::Real(values) => values.iter().all(|x| x.to_f64().is_finite()),
            Data::Index(_) => true,
        }
    }

    /// Float elements. Shape rules guarantee that operations only receive the types they expect.
    pub fn reals(&self) -> &[T] {
        match &self.data {
            Data::Real(values) => values,
            Data::Index(_) => unreachable!("a float tensor was expected"),
        }
    }

    /// Integer elements. Shape rules guarantee that operations only receive the types they expect.
    pub fn indices(&self) -> &[u32] {
        match &self.data {
            Data::Index(values) => values,
            Data::Real(_) => unreachable!("an integer tensor was expected"),
        }
    }

    /// Mutable integer elements.
    pub fn indices_mut(&mut self) -> &mut [u32] {
        match &mut self.data {
            Data::Index(values) => values,
            Data::Real(_) => unreachable!("an integer tensor was expected"),
        }
    }

    /// Mutable float elements.
    pub fn reals_mut(&mut self) -> &mut [T] {
        match &mut self.data {
            Data::Real(values) => values,
            Data::Index(_) => unreachable!("a float tensor was expected"),
        }
    }

    /// Extents.
    pub fn dims(&self) -> &[usize] {
        self.shape.dims()
    }

    /// The same elements with another shape.
    pub fn reshaped(&self, shape: Shape) -> Self {
        Tensor {
            shape,
            data: self.data.clone(),
        }
    }

    /// The same tensor in double precision.
    pub fn to_f64(&self) -> Tensor<f64> {
        let data = match &self.data {
            Data::Real(x) => Data::Real(x.iter().map(|x| x.to_f64()).collect()),
            Data::Index(x) => Data::Index(x.clone()),
        };
        Tensor {
            shape: self.shape.clone(),
            data,
        }
    }
}
